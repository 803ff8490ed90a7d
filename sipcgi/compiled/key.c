/* The key by which a request finds its server transaction, in its usual form (transaction/key.py, RFC 3261 17.2.3). */

#include "native.h"

#define COOKIE "z9hG4bK" /* RFC 3261 8.1.1.7 */

PyObject *native_plain_server_key(PyObject *module, PyObject *request)
{
    State *state = PyModule_GetState(module);
    PyObject *via = PyObject_GetAttr(request, state->via), *key = NULL;
    PyObject *branch = via == NULL ? NULL : PyObject_GetAttr(via, state->branch);
    PyObject *sent_by = branch == NULL ? NULL : PyObject_GetAttr(via, state->sent_by);
    PyObject *method = sent_by == NULL ? NULL : PyObject_GetAttr(request, state->method);
    Span span = method == NULL ? (Span){NULL, NULL} : span_of(branch);
    if (span.start != NULL && LENGTH(span) >= (Py_ssize_t)sizeof(COOKIE) && memcmp(span.start, COOKIE, sizeof(COOKIE) - 1) == 0 &&
        PyUnicode_Check(method)) {
        PyObject *ack = state->method_word[1]; /* which belongs to its INVITE */
        key = PyTuple_Pack(3, branch, sent_by, same_text(method, ack) ? state->method_word[0] : method);
    }
    Py_XDECREF(via);
    Py_XDECREF(branch);
    Py_XDECREF(sent_by);
    Py_XDECREF(method);
    return or_none(key);
}
