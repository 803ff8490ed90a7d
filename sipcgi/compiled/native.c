/* The module: what it gives to Python, and the words that it keeps. */

#include "native.h"

#ifndef SOURCES
#define SOURCES ""
#endif

static const char *const field_names[FIELDS] = {"via", "from", "to", "call-id", "cseq", "max-forwards", "content-length"};
static const char *const method_names[METHODS] = {"INVITE", "ACK",      "BYE",     "CANCEL",
                                                  "OPTIONS", "REGISTER", "MESSAGE", "INFO"};
static const char *const transport_names[TRANSPORTS] = {"UDP", "TCP", "TLS", "WS", "WSS", "SCTP", "TLS-SCTP"};

static int keep(PyObject **words, const char *const *names, int count)
{
    for (int at = 0; at < count; at++)
        if ((words[at] = PyUnicode_InternFromString(names[at])) == NULL)
            return -1;
    return 0;
}

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **kept)
{
    PyObject *kind = PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    if (kind == NULL)
        return -1;
    int failed = PyModule_AddType(module, (PyTypeObject *)kind);
    if (kept != NULL)
        *kept = (PyTypeObject *)kind;
    else
        Py_DECREF(kind);
    return failed;
}

static PyObject *imported(const char *from, const char *name)
{
    PyObject *module = PyImport_ImportModule(from), *found = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return found;
}

static int execute(PyObject *module)
{
    State *state = PyModule_GetState(module);
#define WORD(name)                                                          \
    if ((state->name = PyUnicode_InternFromString(#name)) == NULL)          \
        return -1;
    WORDS(WORD)
#undef WORD
    if ((state->cseq = PyUnicode_InternFromString("cseq")) == NULL ||
        (state->via = PyUnicode_InternFromString("via")) == NULL ||
        (state->sip20 = PyUnicode_InternFromString("SIP/2.0")) == NULL ||
        (state->record_route = PyUnicode_InternFromString("record-route")) == NULL ||
        (state->max_breadth = PyUnicode_InternFromString("max-breadth")) == NULL ||
        (state->proxy_require = PyUnicode_InternFromString("proxy-require")) == NULL ||
        (state->stdin_ = PyUnicode_InternFromString("stdin")) == NULL ||
        (state->stdout_ = PyUnicode_InternFromString("stdout")) == NULL ||
        (state->stderr_ = PyUnicode_InternFromString("stderr")) == NULL ||
        (state->nothing = PyUnicode_InternFromString("")) == NULL || (state->empty = PyTuple_New(0)) == NULL ||
        keep(state->field, field_names, FIELDS) < 0 || keep(state->method_word, method_names, METHODS) < 0 ||
        keep(state->transport_word, transport_names, TRANSPORTS) < 0)
        return -1;
    if ((state->heappush = imported("heapq", "heappush")) == NULL ||
        (state->heappop = imported("heapq", "heappop")) == NULL ||
        (state->perf_counter = imported("time", "perf_counter")) == NULL ||
        (state->unreachable = imported("sipcgi.errors", "Unreachable")) == NULL ||
        add_type(module, &fields_spec, NULL, &state->fields) < 0 || add_type(module, &lazy_spec, NULL, NULL) < 0 ||
        add_type(module, &plaincase_spec, NULL, NULL) < 0 ||
        add_type(module, &octets_spec, NULL, NULL) < 0 || add_type(module, &remembered_spec, NULL, NULL) < 0 ||
        add_type(module, &timer_spec, NULL, &state->timer) < 0 ||
        add_type(module, &deadlines_spec, NULL, &state->deadlines) < 0 ||
        add_type(module, &walker_spec, NULL, &state->walker) < 0 ||
        add_type(module, &side_spec, state->walker, &state->side) < 0 ||
        add_type(module, &client_side_spec, state->side, NULL) < 0 ||
        add_type(module, &server_side_spec, state->side, NULL) < 0 || add_type(module, &by_peer_spec, NULL, NULL) < 0 ||
        add_type(module, &matching_spec, NULL, NULL) < 0 || add_type(module, &arrivals_spec, NULL, NULL) < 0 ||
        add_type(module, &sender_spec, NULL, NULL) < 0 || add_type(module, &datagrams_spec, NULL, NULL) < 0 ||
        add_type(module, &waiting_spec, NULL, NULL) < 0 || add_type(module, &handling_spec, NULL, NULL) < 0 ||
        (state->starter = (PyTypeObject *)PyType_FromModuleAndSpec(module, &starter_spec, NULL)) == NULL)
        return -1;
    return PyModule_AddStringConstant(module, "SOURCES", SOURCES);
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->heappush);
    Py_VISIT(state->heappop);
    Py_VISIT(state->unreachable);
    Py_VISIT(state->perf_counter);
    Py_VISIT(state->fields);
    Py_VISIT(state->timer);
    Py_VISIT(state->deadlines);
    Py_VISIT(state->walker);
    Py_VISIT(state->starter);
    Py_VISIT(state->side);
    return 0;
}

static int clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
#define WORD(name) Py_CLEAR(state->name);
    WORDS(WORD)
#undef WORD
    Py_CLEAR(state->cseq);
    Py_CLEAR(state->via);
    Py_CLEAR(state->sip20);
    Py_CLEAR(state->nothing);
    Py_CLEAR(state->record_route);
    Py_CLEAR(state->max_breadth);
    Py_CLEAR(state->proxy_require);
    Py_CLEAR(state->stdin_);
    Py_CLEAR(state->stdout_);
    Py_CLEAR(state->stderr_);
    for (int at = 0; at < FIELDS; at++)
        Py_CLEAR(state->field[at]);
    for (int at = 0; at < METHODS; at++)
        Py_CLEAR(state->method_word[at]);
    for (int at = 0; at < TRANSPORTS; at++)
        Py_CLEAR(state->transport_word[at]);
    Py_CLEAR(state->empty);
    Py_CLEAR(state->heappush);
    Py_CLEAR(state->heappop);
    Py_CLEAR(state->unreachable);
    Py_CLEAR(state->perf_counter);
    Py_CLEAR(state->fields);
    Py_CLEAR(state->timer);
    Py_CLEAR(state->deadlines);
    Py_CLEAR(state->walker);
    Py_CLEAR(state->starter);
    Py_CLEAR(state->side);
    return 0;
}

static void discard(void *module)
{
    clear((PyObject *)module);
}

#define FUNCTION(name, documentation) \
    {#name, (PyCFunction)(void (*)(void))native_##name, METH_FASTCALL, documentation}

static PyMethodDef functions[] = {
    FUNCTION(plain_message, "The message in a datagram, None when it is not plain."),
    FUNCTION(plain_head, "The message of a head and its Content-Length, None when it is not plain."),
    FUNCTION(plain_params, "Parameters of a header field, None when they are not plain."),
    FUNCTION(plain_uri_params, "Parameters of a URI, None when they are not plain."),
    FUNCTION(plain_via, "A Via, None when it is not plain."),
    FUNCTION(plain_sip_uri, "A SIP or SIPS URI, None when it is not plain."),
    FUNCTION(plain_address, "An address, None when it is not plain."),
    FUNCTION(resend_starter, "What starts a timer of retransmissions."),
    FUNCTION(timeout_starter, "What starts another timer of a transaction."),
    FUNCTION(plain_forward, "The copy of a request that a proxy sends, None when it is not plain."),
    FUNCTION(plain_validate, "True for a request that is surely what validate() asks for, else None."),
    FUNCTION(plain_preprocess, "A request without its Route that names us, None when it is not plain."),
    FUNCTION(is_direct, "Whether a request came by UDP from the address in its Via."),
    FUNCTION(plain_own_route, "What our own Route says of a request, None when it is not plain."),
    FUNCTION(keyed_digits, "The digits of a token."),
    FUNCTION(plain_loop_hash, "The digits by which loops are found, None for text beyond ASCII."),
    {"ends_of", native_ends_of, METH_O, "The lines of From and To."},
    {"forget_cgi_fields", native_forget_cgi_fields, METH_O, "Takes CGI- fields out."},
    FUNCTION(put_on_top, "Puts what a proxy adds to a request into its lists."),
    FUNCTION(plain_variables, "The environment of a script, None when it is not plain."),
    FUNCTION(plain_request, "A request to a FastCGI program, None when it is not plain."),
    {"whole_output", native_whole_output, METH_O, "What a FastCGI program printed, None when that is not all at a glance."},
    FUNCTION(spawn, "Starts a program as the leader of its own session: its process id."),
    FUNCTION(plain_start, "Opens what a run needs and orders its start; False when it is not plain."),
    FUNCTION(hear, "A record of reports, or how one run has ended plainly."),
    FUNCTION(attend, "The loop of the launcher: an order that is not plain, and the ends of runs that are not."),
    FUNCTION(plain_way_back, "The fields of a response on its way upstream, None when it is not plain."),
    FUNCTION(quick, "Has calls of a class answered here."),
    {"plain_server_key", native_plain_server_key, METH_O, "The key of a server transaction, None for a client of RFC 2543."},
    {"line_of", native_line_of, METH_O, "An entry of the log as its line."},
    {NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "The hottest primitives of SIP messages, transactions and timers.",
    .m_size = sizeof(State),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = discard,
};

/* Of an object of a class that is made here, or of one derived from it. */
State *state_of(PyObject *object)
{
    PyObject *module = PyType_GetModuleByDef(Py_TYPE(object), &definition);
    return module == NULL ? NULL : PyModule_GetState(module);
}

PyMODINIT_FUNC PyInit_native(void)
{
    return PyModuleDef_Init(&definition);
}
