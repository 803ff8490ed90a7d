/* What the access line says of a request from the beginning (engine/upstream.py). */

#include "native.h"

/* The value of the first field of that name, "" without one. */
static PyObject *first(State *state, PyObject *names, PyObject *lines, PyObject *name)
{
    Py_ssize_t at = find(names, name, 0);
    if (at < 0)
        return Py_NewRef(state->nothing);
    PyObject *line = at < PyList_GET_SIZE(lines) ? PyList_GET_ITEM(lines, at) : NULL;
    return line != NULL && IS_TEXT(line) ? value_of(line) : NULL;
}

/* host:port, an IPv6 address in brackets. */
static PyObject *place(PyObject *remote)
{
    if (!PyTuple_Check(remote) || PyTuple_GET_SIZE(remote) != 2)
        return NULL;
    PyObject *host = PyTuple_GET_ITEM(remote, 0), *port = PyTuple_GET_ITEM(remote, 1);
    if (!PyUnicode_CheckExact(host) || !IS_TEXT(host) || !PyLong_CheckExact(port))
        return NULL;
    int colon = PyUnicode_FindChar(host, ':', 0, PyUnicode_GET_LENGTH(host), 1) >= 0;
    return PyUnicode_FromFormat(colon ? "[%U]:%S" : "%U:%S", host, port);
}

PyObject *native_plain_record(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    PyObject *names = NULL, *lines = NULL, *made = NULL, *parts[6] = {NULL};
    PyObject *kind = count == 3 ? arguments[0] : NULL, *request = count == 3 ? arguments[1] : NULL;
    PyObject *headers = request == NULL ? NULL : PyObject_GetAttr(request, state->headers);
    if (headers == NULL || !PyObject_TypeCheck(headers, state->fields) ||
        (names = PyObject_GetAttr(headers, state->names)) == NULL ||
        (lines = PyObject_GetAttr(headers, state->lines)) == NULL || !PyList_CheckExact(names) || !PyList_CheckExact(lines))
        goto done;
    if ((parts[0] = PyObject_GetAttr(request, state->method)) != NULL &&
        (parts[1] = first(state, names, lines, state->field[FROM])) != NULL &&
        (parts[2] = first(state, names, lines, state->field[TO])) != NULL &&
        (parts[3] = PyObject_GetAttr(request, state->uri)) != NULL && (parts[4] = place(arguments[2])) != NULL &&
        (parts[5] = PyObject_GetAttr(request, state->call_id)) != NULL)
        made = PyObject_Vectorcall(kind, parts, 6, NULL);
done:
    for (int at = 0; at < 6; at++)
        Py_XDECREF(parts[at]);
    Py_XDECREF(names);
    Py_XDECREF(lines);
    Py_XDECREF(headers);
    return or_none(made);
}
