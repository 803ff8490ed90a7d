/* A name-addr in its plain form, without escapes in a quoted name (sip/address.py, RFC 3261 25.1). */

#include "native.h"

#define MAX_PLAIN 1024 /* far below MAX_ELEMENT of sip/grammar.py */

/* The display name; `start` is where the "<" after it is, NULL when it is not plain. */
static Span display_of(Span span, const char **start)
{
    Span display = {span.start, span.start};
    *start = NULL;
    if (*span.start == '"') {
        display.start++;
        display.end = memchr(display.start, '"', (size_t)(span.end - display.start));
        if (display.end == NULL || memchr(display.start, '\\', (size_t)LENGTH(display)) != NULL)
            return display;
        const char *at = display.end + 1;
        while (at < span.end && (*at == ' ' || *at == '\t'))
            at++;
        *start = at < span.end && *at == '<' ? at : NULL;
        return display;
    }
    while (display.end < span.end && (IS(*display.end, VALUE) || *display.end == ' ' || *display.end == '\t'))
        display.end++;
    *start = display.end < span.end && *display.end == '<' ? display.end : NULL;
    return stripped(display);
}

static PyObject *address_of(State *state, Parts *parts, Span span)
{
    if (LENGTH(span) > MAX_PLAIN)
        return NULL;
    span = stripped(span);
    if (span.start == span.end)
        return NULL;
    const char *start;
    Span display = display_of(span, &start);
    const char *end = start == NULL ? NULL : memchr(start, '>', (size_t)(span.end - start));
    if (end == NULL)
        return NULL;
    PyObject *uri = parsed_part(parts, (Span){start + 1, end});
    if (uri == NULL)
        return NULL;
    PyObject *params = params_or_none(state, parts, (Span){end + 1, span.end}, TOKEN, VALUE);
    PyObject *address = params == NULL ? NULL : new_object(state, parts->kind);
    if (address != NULL && !(set(address, state->display, ascii(display)) && set(address, state->uri, Py_NewRef(uri)) &&
                             set(address, state->params, Py_NewRef(params))))
        Py_CLEAR(address);
    Py_DECREF(uri);
    Py_XDECREF(params);
    return address;
}

PyObject *native_plain_address(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Parts parts;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "plain_address() takes kinds and a text");
        return NULL;
    }
    Span span = span_of(arguments[1]);
    if (!parts_of(arguments[0], &parts) || span.start == NULL)
        return or_none(NULL);
    return or_none(address_of(PyModule_GetState(module), &parts, span));
}
