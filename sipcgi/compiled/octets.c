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
    memcpy(at + LENGTH(span), "\r\n", 2);
    return at + LENGTH(span) + 2;
}

PyObject *native_octets(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || !PyUnicode_Check(arguments[0]) || !PyList_CheckExact(arguments[1]) || !PyBytes_Check(arguments[2])) {
        PyErr_SetString(PyExc_TypeError, "octets() takes a start line, a list of lines and a body");
        return NULL;
    }
    PyObject *lines = arguments[1], *body = arguments[2];
    Span first = span_of(arguments[0]);
    if (first.start == NULL)
        return encoded(arguments[0], lines, body);
    /* no length can pass PY_SSIZE_T_MAX: all of it is in memory, but for two octets a line, where an object has more */
    Py_ssize_t size = LENGTH(first) + 4 + PyBytes_GET_SIZE(body);
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(lines); at++) {
        Span line = span_of(PyList_GET_ITEM(lines, at));
        if (line.start == NULL)
            return encoded(arguments[0], lines, body);
        size += LENGTH(line) + 2;
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, size);
    if (made == NULL)
        return NULL;
    char *to = put(PyBytes_AS_STRING(made), first);
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(lines); at++)
        to = put(to, span_of(PyList_GET_ITEM(lines, at)));
    memcpy(to, "\r\n", 2);
    memcpy(to + 2, PyBytes_AS_STRING(body), (size_t)PyBytes_GET_SIZE(body));
    return made;
}
