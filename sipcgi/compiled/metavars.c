/* The environment of a script, of fields each of which is the only one of its variable (cgi/metavars.py, RFC 3050 5.5). */

#include "native.h"

#define PREFIX "SIP_"

/* SIP_ and the name of a field, NULL for one of CGI- and for one that is not ASCII. */
static PyObject *variable_of(PyObject *name)
{
    Span span = span_of(name);
    Py_ssize_t length = LENGTH(span), prefix = (Py_ssize_t)sizeof(PREFIX) - 1;
    if (span.start == NULL || (length >= 4 && memcmp(span.start, "cgi-", 4) == 0))
        return NULL;
    PyObject *made = PyUnicode_New(prefix + length, 127);
    if (made == NULL)
        return NULL;
    Py_UCS1 *data = PyUnicode_1BYTE_DATA(made);
    memcpy(data, PREFIX, prefix);
    for (Py_ssize_t at = 0; at < length; at++)
        data[prefix + at] = Py_ISALNUM(span.start[at]) ? (Py_UCS1)Py_TOUPPER(span.start[at]) : '_';
    return made;
}

/* Takes the value, and counts its characters and those of its name. 0: it is no text, or there was an error. */
static int put(PyObject *variables, PyObject *name, PyObject *value, Py_ssize_t *octets)
{
    int done = value != NULL && PyUnicode_CheckExact(name) && IS_TEXT(name) && IS_TEXT(value);
    if (done) {
        *octets += PyUnicode_GET_LENGTH(name) + PyUnicode_GET_LENGTH(value) + 2;
        done = PyDict_SetItem(variables, name, value) == 0;
    }
    Py_XDECREF(value);
    return done;
}

/* 1 for what a script does not get (RFC 3050 7.3), -1 for another field that would have the same variable. */
static int holds_credentials(PyObject *variable, PyObject *name)
{
    static const char *const fields[] = {"authorization", "proxy-authorization"};
    static const char *const variables[] = {PREFIX "AUTHORIZATION", PREFIX "PROXY_AUTHORIZATION"};
    for (int at = 0; at < 2; at++)
        if (PyUnicode_CompareWithASCIIString(variable, variables[at]) == 0)
            return PyUnicode_CompareWithASCIIString(name, fields[at]) == 0 ? 1 : -1;
    return 0;
}

/* 0: not plain, or there was an error. */
static int put_fields(PyObject *variables, PyObject *names, PyObject *lines, int credentials, Py_ssize_t *octets)
{
    Py_ssize_t several = 0;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(names); at++) {
        PyObject *name = PyList_GET_ITEM(names, at), *line = PyList_GET_ITEM(lines, at), *variable = variable_of(name);
        int withheld = variable == NULL || credentials ? 0 : holds_credentials(variable, name);
        int done = withheld == 1;
        if (variable != NULL && withheld == 0 && IS_TEXT(line)) {
            done = put(variables, variable, value_of(line), octets);
            several++;
        }
        Py_XDECREF(variable);
        if (!done)
            return 0;
    }
    return PyDict_GET_SIZE(variables) == several;
}

/* Those that are not of fields: text, a number, or None for one that is undefined. */
static int put_known(PyObject *variables, PyObject *known, Py_ssize_t *octets)
{
    PyObject *name, *value;
    for (Py_ssize_t at = 0; PyDict_Next(known, &at, &name, &value);) {
        if (value == Py_None)
            continue;
        if (!PyLong_CheckExact(value) && !PyUnicode_CheckExact(value))
            return 0;
        if (!put(variables, name, PyLong_CheckExact(value) ? PyObject_Str(value) : Py_NewRef(value), octets))
            return 0;
    }
    return 1;
}

PyObject *native_plain_variables(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    if (count != 4 || !PyObject_TypeCheck(arguments[0], state->fields) || !PyDict_CheckExact(arguments[1]))
        Py_RETURN_NONE;
    int credentials = PyObject_IsTrue(arguments[2]);
    Py_ssize_t most = PyLong_AsSsize_t(arguments[3]), octets = 0;
    if (PyErr_Occurred())
        return NULL;
    PyObject *names = PyObject_GetAttr(arguments[0], state->names);
    PyObject *lines = names == NULL ? NULL : PyObject_GetAttr(arguments[0], state->lines);
    PyObject *variables = NULL;
    if (lines != NULL && PyList_CheckExact(names) && PyList_CheckExact(lines) &&
        PyList_GET_SIZE(names) == PyList_GET_SIZE(lines))
        variables = PyDict_New();
    if (variables != NULL && (!put_fields(variables, names, lines, credentials, &octets) ||
                              !put_known(variables, arguments[1], &octets) || octets > most))
        Py_CLEAR(variables);
    Py_XDECREF(names);
    Py_XDECREF(lines);
    return or_none(variables);
}
