/* A message as it goes onto the wire (sip/message.py). */

#include "native.h"

/* With text beyond ASCII: joined as text, encoded as one. */
static PyObject *encoded(PyObject *start_line, PyObject *lines, PyObject *body)
{
    PyObject *head = NULL, *end = PyUnicode_FromString("\r\n"), *all = PyList_New(0);
    PyObject *nothing = PyUnicode_FromString("");
    if (end != NULL && all != NULL && nothing != NULL && PyList_Append(all, start_line) == 0 &&
        PyList_SetSlice(all, 1, 1, lines) == 0 && PyList_Append(all, nothing) == 0 && PyList_Append(all, nothing) == 0) {
        PyObject *joined = PyUnicode_Join(end, all);
        if (joined != NULL)
            head = PyUnicode_AsEncodedString(joined, "utf-8", "surrogateescape");
        Py_XDECREF(joined);
    }
    Py_XDECREF(end);
    Py_XDECREF(all);
    Py_XDECREF(nothing);
    if (head != NULL)
        PyBytes_Concat(&head, body);
    return head;
}

static char *put(char *at, Span span)
{
    memcpy(at, span.start, (size_t)LENGTH(span));
    return at + LENGTH(span);
}

/* All in ASCII but for the body; NULL without an exception where it is not. `start` are the three words of the start line
   (RFC 3261 7.1, 7.2). */
static PyObject *joined(const Span start[3], PyObject *lines, PyObject *body)
{
    /* no length can pass PY_SSIZE_T_MAX: all of it is in memory, but for two octets a line, where an object has more */
    Py_ssize_t size = LENGTH(start[0]) + LENGTH(start[1]) + LENGTH(start[2]) + 6 + PyBytes_GET_SIZE(body);
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(lines); at++) {
        Span line = span_of(PyList_GET_ITEM(lines, at));
        if (line.start == NULL)
            return NULL;
        size += LENGTH(line) + 2;
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, size);
    if (made == NULL)
        return NULL;
    static const char marks[] = " \r\n";
    const Span blank = {marks, marks + 1}, end = {marks + 1, marks + 3};
    char *to = put(put(PyBytes_AS_STRING(made), start[0]), blank);
    to = put(put(to, start[1]), blank);
    to = put(put(to, start[2]), end);
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(lines); at++)
        to = put(put(to, span_of(PyList_GET_ITEM(lines, at))), end);
    to = put(to, end);
    memcpy(to, PyBytes_AS_STRING(body), (size_t)PyBytes_GET_SIZE(body));
    return made;
}

/* `first` and `second` are method and URI of a request, else status and reason. */
static PyObject *octets_of(State *state, PyObject *message, int is_request, PyObject *first, PyObject *second, PyObject *lines,
                           PyObject *body)
{
    char digits[24];
    Span version = span_of(state->sip20), start[3] = {span_of(first), span_of(second), version};
    if (!is_request) {
        long status = PyLong_Check(first) ? PyLong_AsLong(first) : -1;
        if (status == -1 && PyErr_Occurred() && !forgiven())
            return NULL;
        if (status >= 0)
            start[0] = (Span){digits, digits + snprintf(digits, sizeof(digits), "%ld", status)};
        start[2] = start[1];
        start[1] = start[0];
        start[0] = version;
    }
    PyObject *made = start[0].start == NULL || start[1].start == NULL || start[2].start == NULL ? NULL : joined(start, lines, body);
    if (made != NULL || PyErr_Occurred())
        return made;
    PyObject *line = PyObject_GetAttr(message, state->start_line);
    if (line != NULL && PyUnicode_Check(line))
        made = encoded(line, lines, body);
    Py_XDECREF(line);
    return made;
}

static PyObject *octets_bytes(PyObject *message, PyTypeObject *kind, PyObject *const *Py_UNUSED(arguments), Py_ssize_t count,
                              PyObject *names)
{
    State *state = PyType_GetModuleState(kind);
    if (state == NULL || count != 0 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "__bytes__() takes no arguments");
        return NULL;
    }
    int is_request = PyObject_HasAttr(message, state->method);
    PyObject *headers = PyObject_GetAttr(message, state->headers), *made = NULL;
    PyObject *lines = headers == NULL ? NULL : PyObject_GetAttr(headers, state->lines);
    PyObject *body = lines == NULL ? NULL : PyObject_GetAttr(message, state->body);
    PyObject *first = body == NULL ? NULL : PyObject_GetAttr(message, is_request ? state->method : state->status);
    PyObject *second = first == NULL ? NULL : PyObject_GetAttr(message, is_request ? state->uri : state->reason);
    if (second != NULL && PyList_CheckExact(lines) && PyBytes_Check(body))
        made = octets_of(state, message, is_request, first, second, lines, body);
    if (made == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "a message has a start line, a list of lines and a body");
    Py_XDECREF(headers);
    Py_XDECREF(lines);
    Py_XDECREF(body);
    Py_XDECREF(first);
    Py_XDECREF(second);
    return made;
}

static PyMethodDef methods[] = {
    {"__bytes__", (PyCFunction)(void (*)(void))octets_bytes, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "As it goes onto the wire."},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec octets_spec = {
    .name = "sipcgi.compiled.native.Octets",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
