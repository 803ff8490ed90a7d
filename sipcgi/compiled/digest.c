/* Hexadecimal digits over parts of a message: the token of our Record-Route (dialog/token.py), and the hash by which loops
   are found (proxy/loop.py). The hashing is hashlib's. */

#include "native.h"

/* Of what a hasher has taken before and these octets, which it takes: NULL is a failure before. */
static PyObject *digits(State *state, PyObject *hasher, PyObject *octets)
{
    PyObject *made = NULL, *own = octets == NULL ? NULL : PyObject_CallMethodNoArgs(hasher, state->copy);
    PyObject *done = own == NULL ? NULL : PyObject_CallMethodOneArg(own, state->update, octets);
    if (done != NULL)
        made = PyObject_CallMethodNoArgs(own, state->hexdigest);
    if (made != NULL && !PyUnicode_Check(made)) {
        PyErr_SetString(PyExc_TypeError, "digits are a text");
        Py_CLEAR(made);
    }
    Py_XDECREF(done);
    Py_XDECREF(own);
    Py_XDECREF(octets);
    return made;
}

PyObject *keyed_digits(State *state, PyObject *hasher, PyObject *call_id, PyObject *tag)
{
    if (!PyUnicode_Check(call_id) || !PyUnicode_Check(tag)) {
        PyErr_SetString(PyExc_TypeError, "keyed_digits() takes a hasher and two texts");
        return NULL;
    }
    Py_ssize_t length = PyUnicode_GetLength(call_id);
    PyObject *text = length < 0 ? NULL : PyUnicode_FromFormat("%zd:%U%U", length, call_id, tag);
    PyObject *octets = text == NULL ? NULL : PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    Py_XDECREF(text);
    return digits(state, hasher, octets);
}

PyObject *native_keyed_digits(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count == 3)
        return keyed_digits(PyModule_GetState(module), arguments[0], arguments[1], arguments[2]);
    PyErr_SetString(PyExc_TypeError, "keyed_digits() takes a hasher and two texts");
    return NULL;
}

/* The tag of From or To; NULL without an exception where there is none, or Python refuses. */
PyObject *tag_of(State *state, PyObject *request, PyObject *end)
{
    PyObject *address = PyObject_GetAttr(request, end);
    PyObject *params = address == NULL ? NULL : PyObject_GetAttr(address, state->params);
    PyObject *tag = params == NULL || !PyDict_Check(params) ? NULL : PyDict_GetItemWithError(params, state->tag);
    Py_XINCREF(tag);
    Py_XDECREF(params);
    Py_XDECREF(address);
    if (tag == NULL && PyErr_Occurred())
        forgiven();
    return tag;
}

/* Whether they are the same; all that differ take the same time. */
static int are_same(Span one, Span other)
{
    volatile uint8_t differ = 0;
    if (one.start == NULL || other.start == NULL || LENGTH(one) != LENGTH(other))
        return 0;
    for (Py_ssize_t at = 0; at < LENGTH(one); at++)
        differ |= (uint8_t)(one.start[at] ^ other.start[at]);
    return differ == 0;
}

/* 1 for the token of what the owner of that tag initiated, 0 for another one, -1 for an exception. */
static int is_token_of(State *state, PyObject *hasher, PyObject *token, PyObject *call_id, PyObject *tag)
{
    PyObject *made = keyed_digits(state, hasher, call_id, tag);
    int same = made == NULL ? -1 : are_same(span_of(token), span_of(made));
    Py_XDECREF(made);
    return same;
}

/* OwnRoute; the core, what preprocess() returned, and the flow. */
PyObject *native_plain_own_route(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    PyObject *kinds = count == 4 ? arguments[0] : NULL, *given = count == 4 ? arguments[2] : NULL;
    if (kinds == NULL || !PyTuple_Check(kinds) || PyTuple_GET_SIZE(kinds) != 1 || !PyType_Check(PyTuple_GET_ITEM(kinds, 0)) ||
        !PyType_IsSubtype((PyTypeObject *)PyTuple_GET_ITEM(kinds, 0), &PyTuple_Type) || !PyTuple_Check(given) ||
        PyTuple_GET_SIZE(given) != 3 || !PyTuple_Check(PyTuple_GET_ITEM(given, 1))) {
        PyErr_SetString(PyExc_TypeError, "plain_own_route() takes a class, a core, what was found, a flow");
        return NULL;
    }
    PyTypeObject *kind = (PyTypeObject *)PyTuple_GET_ITEM(kinds, 0);
    PyObject *request = PyTuple_GET_ITEM(given, 0), *tokens = PyTuple_GET_ITEM(given, 1);
    PyObject *token = PyTuple_GET_SIZE(tokens) == 1 ? PyTuple_GET_ITEM(tokens, 0) : NULL, *made = NULL, *from = NULL;
    Span span = token == NULL ? (Span){NULL, NULL} : span_of(token);
    if (span.start == NULL || memchr(span.start, '.', (size_t)LENGTH(span)) != NULL)
        Py_RETURN_NONE;
    PyObject *to = tag_of(state, request, state->to);
    PyObject *call_id = to == NULL ? NULL : PyObject_GetAttr(request, state->call_id);
    if (call_id == NULL && PyErr_Occurred())
        forgiven();
    PyObject *key = call_id == NULL ? NULL : PyObject_GetAttr(arguments[1], state->token_key);
    PyObject *hasher = key == NULL ? NULL : PyObject_GetAttr(key, state->dialog);
    if (hasher != NULL && (from = tag_of(state, request, state->from_)) != NULL) {
        int ours = is_token_of(state, hasher, token, call_id, from);
        if (ours == 0)
            ours = is_token_of(state, hasher, token, call_id, to);
        if (ours == 1 && (made = kind->tp_alloc(kind, 3)) != NULL) {
            PyTuple_SET_ITEM(made, 0, Py_NewRef(Py_True));
            PyTuple_SET_ITEM(made, 1, Py_NewRef(Py_None));
            PyTuple_SET_ITEM(made, 2, Py_NewRef(PyTuple_GET_ITEM(given, 2)));
        }
    }
    Py_XDECREF(to);
    Py_XDECREF(call_id);
    Py_XDECREF(key);
    Py_XDECREF(hasher);
    Py_XDECREF(from);
    return or_none(made);
}

/* URI, number and the lines that are not of a hop, each but the first behind an LF. NULL without an exception for text
   beyond ASCII. With `to` NULL their length alone. */
static Py_ssize_t join(const Span start[2], const Lists *lists, PyObject *of_the_hop, char *to)
{
    Py_ssize_t size = 0;
    for (Py_ssize_t at = -2; at < PyList_GET_SIZE(lists->lines); at++) {
        Span part = at < 0 ? start[at + 2] : span_of(PyList_GET_ITEM(lists->lines, at));
        PyObject *name = at < 0 ? Py_None : PyList_GET_ITEM(lists->names, at);
        int left_out = at < 0 ? 0 : PyUnicode_CheckExact(name) ? PySet_Contains(of_the_hop, name) : -1;
        if (left_out < 0 || part.start == NULL)
            return -1;
        if (left_out)
            continue;
        if (to != NULL) {
            memcpy(to + size, part.start, (size_t)LENGTH(part));
            to[size + LENGTH(part)] = '\n';
        }
        size += LENGTH(part) + 1;
    }
    return size;
}

/* A hasher and the names of fields of a hop; a request. None for text beyond ASCII. */
PyObject *native_plain_loop_hash(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    PyObject *kinds = count == 2 ? arguments[0] : NULL;
    if (kinds == NULL || !PyTuple_Check(kinds) || PyTuple_GET_SIZE(kinds) != 2 || !PyAnySet_Check(PyTuple_GET_ITEM(kinds, 1))) {
        PyErr_SetString(PyExc_TypeError, "plain_loop_hash() takes a hasher with a set, and a request");
        return NULL;
    }
    PyObject *request = arguments[1], *of_the_hop = PyTuple_GET_ITEM(kinds, 1);
    Lists lists = {NULL, NULL};
    PyObject *headers = PyObject_GetAttr(request, state->headers), *made = NULL, *number = NULL, *octets = NULL;
    PyObject *cseq = headers == NULL ? NULL : PyObject_GetAttr(request, state->cseq);
    PyObject *uri = cseq == NULL ? NULL : PyObject_GetAttr(request, state->uri);
    if (uri == NULL || !PyTuple_Check(cseq) || PyTuple_GET_SIZE(cseq) != 2 || !lists_in(state, headers, &lists) ||
        (number = PyObject_Str(PyTuple_GET_ITEM(cseq, 0))) == NULL)
        goto done;
    const Span start[2] = {span_of(uri), span_of(number)};
    Py_ssize_t size = join(start, &lists, of_the_hop, NULL);
    if (size < 0 || (octets = PyBytes_FromStringAndSize(NULL, size)) == NULL)
        goto done;
    join(start, &lists, of_the_hop, PyBytes_AS_STRING(octets));
    if (_PyBytes_Resize(&octets, size - 1) == 0) /* without the last LF */
        made = digits(state, PyTuple_GET_ITEM(kinds, 0), octets);
done:
    released(&lists);
    Py_XDECREF(headers);
    Py_XDECREF(cseq);
    Py_XDECREF(uri);
    Py_XDECREF(number);
    return or_none(made);
}
