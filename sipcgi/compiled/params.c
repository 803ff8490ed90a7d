/* Parameters in their plain form (sip/params.py). */

#include "native.h"

#define MAX_PLAIN 32 /* far below MAX_PARAMETERS of sip/grammar.py */
#define MAX_NAME 32

/* The name in lower case; one that is common is not made again. */
static PyObject *name_of(State *state, Span span)
{
    char lower[MAX_NAME];
    Py_ssize_t length = LENGTH(span);
    if (length > MAX_NAME)
        return NULL;
    for (Py_ssize_t at = 0; at < length; at++)
        lower[at] = (char)Py_TOLOWER(span.start[at]);
    PyObject *const common[] = {state->branch, state->rport, state->tag, state->lr, state->received, state->transport};
    for (size_t at = 0; at < Py_ARRAY_LENGTH(common); at++)
        if (PyUnicode_GET_LENGTH(common[at]) == length &&
            memcmp(PyUnicode_1BYTE_DATA(common[at]), lower, (size_t)length) == 0)
            return Py_NewRef(common[at]);
    return ascii((Span){lower, lower + length});
}

/* Where the value that begins at `at` ends: octets of that class, or a quoted string in which nothing is escaped. */
static const char *end_of_value(const char *at, const char *end, int class)
{
    if (class == VALUE && at < end && *at == '"') {
        const char *quote = memchr(at + 1, '"', (size_t)(end - at - 1));
        return quote == NULL || memchr(at, '\\', (size_t)(quote - at)) != NULL ? at : quote + 1;
    }
    while (at < end && IS(*at, class))
        at++;
    return at;
}

/* `;name=value;name`, of octets of those classes. */
PyObject *params_of(State *state, PyTypeObject *kind, Span span, int name_class, int value_class)
{
    PyObject *made = new_object(state, kind);
    if (made == NULL)
        return NULL;
    Py_ssize_t count = 0;
    const char *at = span.start;
    while (at < span.end) {
        if (*at++ != ';' || ++count > MAX_PLAIN)
            goto unusual;
        Span name = {at, at}, value;
        while (name.end < span.end && IS(*name.end, name_class))
            name.end++;
        at = value.start = value.end = name.end;
        if (at < span.end && *at == '=') {
            value.start = at + 1;
            at = value.end = end_of_value(value.start, span.end, value_class);
            if (value.start == value.end)
                goto unusual;
        }
        PyObject *key = name.start == name.end ? NULL : name_of(state, name);
        if (key == NULL)
            goto unusual;
        PyObject *word = ascii(value);
        int failed = word == NULL || PyDict_SetItem(made, key, word) < 0;
        Py_DECREF(key);
        Py_XDECREF(word);
        if (failed)
            goto unusual;
    }
    if (PyDict_GET_SIZE(made) != count) /* RFC 3261 7.3.1, 19.1.1: one was given twice */
        goto unusual;
    PyObject *whole = ascii(span);
    if (whole != NULL && PyObject_SetAttr(made, state->text, whole) == 0) {
        Py_DECREF(whole);
        return made;
    }
    Py_XDECREF(whole);
unusual:
    Py_DECREF(made);
    return NULL;
}

static PyObject *parsed(PyObject *module, PyObject *const *arguments, Py_ssize_t count, int name, int value)
{
    if (count != 2 || !PyType_Check(arguments[0]) || !PyType_IsSubtype((PyTypeObject *)arguments[0], &PyDict_Type)) {
        PyErr_SetString(PyExc_TypeError, "a kind of dict and a text are expected");
        return NULL;
    }
    Span span = span_of(arguments[1]);
    if (span.start == NULL)
        Py_RETURN_NONE;
    return or_none(params_of(PyModule_GetState(module), (PyTypeObject *)arguments[0], span, name, value));
}

PyObject *native_plain_params(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    return parsed(module, arguments, count, TOKEN, VALUE);
}

PyObject *native_plain_uri_params(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    return parsed(module, arguments, count, URI, URI);
}
