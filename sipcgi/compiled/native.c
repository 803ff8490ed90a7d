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

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **kept)
{
    PyObject *kind = PyType_FromModuleAndSpec(module, spec, NULL);
    if (kind == NULL)
        return -1;
    int failed = PyModule_AddType(module, (PyTypeObject *)kind);
    if (kept != NULL)
        *kept = (PyTypeObject *)kind;
    else
        Py_DECREF(kind);
    return failed;
}

static int add_derived(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **kept)
{
    PyObject *kind = PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    int failed = kind == NULL || PyModule_AddType(module, (PyTypeObject *)kind) < 0;
    if (kept != NULL)
        *kept = (PyTypeObject *)Py_XNewRef(kind);
    Py_XDECREF(kind);
    return failed ? -1 : 0;
}

static PyObject *imported(const char *from, const char *name)
{
    PyObject *module = PyImport_ImportModule(from), *found = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return found;
}

/* What a message passes between the socket and its user. */
static int add_way(PyObject *module, State *state)
{
    if ((state->perf_counter = imported("time", "perf_counter")) == NULL ||
        (state->unreachable = imported("sipcgi.errors", "Unreachable")) == NULL ||
        add_derived(module, &side_spec, state->walker, &state->side) < 0 ||
        add_derived(module, &client_side_spec, state->side, NULL) < 0 ||
        add_derived(module, &server_side_spec, state->side, NULL) < 0 || add_type(module, &by_peer_spec, NULL) < 0 ||
        add_type(module, &matching_spec, NULL) < 0 || add_type(module, &arrivals_spec, NULL) < 0 ||
        add_type(module, &sender_spec, NULL) < 0 || add_type(module, &datagrams_spec, NULL) < 0 ||
        add_type(module, &waiting_spec, NULL) < 0 || add_type(module, &handling_spec, NULL) < 0)
        return -1;
    return 0;
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
        (state->nothing = PyUnicode_InternFromString("")) == NULL || (state->empty = PyTuple_New(0)) == NULL ||
        keep(state->field, field_names, FIELDS) < 0 || keep(state->method_word, method_names, METHODS) < 0 ||
        keep(state->transport_word, transport_names, TRANSPORTS) < 0)
        return -1;
    PyObject *heapq = PyImport_ImportModule("heapq");
    if (heapq == NULL)
        return -1;
    state->heappush = PyObject_GetAttrString(heapq, "heappush");
    state->heappop = PyObject_GetAttrString(heapq, "heappop");
    Py_DECREF(heapq);
    if (state->heappush == NULL || state->heappop == NULL || add_type(module, &fields_spec, &state->fields) < 0 || add_type(module, &lazy_spec, NULL) < 0 ||
        add_type(module, &octets_spec, NULL) < 0 || add_type(module, &remembered_spec, NULL) < 0 ||
        add_type(module, &timer_spec, &state->timer) < 0 || add_type(module, &deadlines_spec, &state->deadlines) < 0 ||
        add_type(module, &walker_spec, &state->walker) < 0 ||
        (state->starter = (PyTypeObject *)PyType_FromModuleAndSpec(module, &starter_spec, NULL)) == NULL || add_way(module, state) < 0)
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
    FUNCTION(put_on_top, "Puts what a proxy adds to a request into its lists."),
    FUNCTION(spawn, "Starts a program as the leader of its own session: its process id."),
    FUNCTION(plain_way_back, "The fields of a response on its way upstream, None when it is not plain."),
    {"plain_server_key", native_plain_server_key, METH_O, "The key of a server transaction, None for a client of RFC 2543."},
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
