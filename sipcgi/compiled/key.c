/* The key by which a request finds its server transaction, in its usual form (transaction/key.py, RFC 3261 17.2.3). */

#include "native.h"

#define COOKIE "z9hG4bK" /* RFC 3261 8.1.1.7 */

/* More than the cookie: that alone identifies nothing. What follows may be any text. */
static int has_cookie(PyObject *branch)
{
    Py_ssize_t size = (Py_ssize_t)sizeof(COOKIE) - 1;
    if (!IS_TEXT(branch) || PyUnicode_GET_LENGTH(branch) <= size)
        return 0;
    for (Py_ssize_t at = 0; at < size; at++)
        if (PyUnicode_READ_CHAR(branch, at) != (Py_UCS4)COOKIE[at])
            return 0;
    return 1;
}

/* NULL without an exception for a client of RFC 2543. */
PyObject *server_key(State *state, PyObject *request)
{
    PyObject *via = PyObject_GetAttr(request, state->via), *key = NULL;
    PyObject *branch = via == NULL ? NULL : PyObject_GetAttr(via, state->branch);
    PyObject *sent_by = branch == NULL ? NULL : PyObject_GetAttr(via, state->sent_by);
    PyObject *method = sent_by == NULL ? NULL : PyObject_GetAttr(request, state->method);
    if (method != NULL && has_cookie(branch) && PyUnicode_Check(method)) {
        PyObject *ack = state->method_word[1]; /* which belongs to its INVITE */
        key = PyTuple_Pack(3, branch, sent_by, same_text(method, ack) ? state->method_word[0] : method);
    }
    Py_XDECREF(via);
    Py_XDECREF(branch);
    Py_XDECREF(sent_by);
    Py_XDECREF(method);
    return key;
}

PyObject *native_plain_server_key(PyObject *module, PyObject *request)
{
    return or_none(server_key(PyModule_GetState(module), request));
}
