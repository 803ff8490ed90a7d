/* A SIP or SIPS URI in its plain form: without password, escapes and headers (sip/uri.py, RFC 3261 19.1.1). */

#include "native.h"

#define MAX_PLAIN 1024 /* far below MAX_ELEMENT of sip/grammar.py */

/* `span` is what is in `whole`, a string. */
static PyObject *uri_of(State *state, Parts *parts, PyObject *whole, Span span)
{
    int secure = LENGTH(span) > 5 && memcmp(span.start, "sips:", 5) == 0;
    if (LENGTH(span) > MAX_PLAIN || LENGTH(span) < 5 || (!secure && memcmp(span.start, "sip:", 4) != 0))
        return NULL;
    Span user = {span.start + (secure ? 5 : 4), NULL}, place = user;
    /* "?" and ";" may stand in the user part, "@" nowhere else */
    user.end = memrchr(user.start, '@', (size_t)(span.end - user.start));
    if (user.end != NULL) {
        for (const char *at = user.start; at < user.end; at++)
            if (!IS(*at, USER))
                return NULL;
        if (user.start == user.end)
            return NULL;
        place.start = user.end + 1;
    }
    place.end = place.start;
    while (place.end < span.end && IS(*place.end, URI)) /* neither ";" nor "?" is one */
        place.end++;
    if (place.start == place.end || *place.start == '[' || memchr(place.end, '%', (size_t)(span.end - place.end)) != NULL)
        return NULL;

    PyObject *uri = NULL, *found = parsed_part(parts, place);
    if (found == NULL)
        return NULL;
    PyObject *params = params_or_none(state, parts, (Span){place.end, span.end}, URI, URI);
    Span host = {NULL, NULL};
    if (PyTuple_Check(found) && PyTuple_GET_SIZE(found) == 2)
        host = span_of(PyTuple_GET_ITEM(found, 0));
    if (params != NULL && host.start != NULL && (uri = new_object(state, parts->kind)) != NULL &&
        !(set(uri, state->scheme, Py_NewRef(secure ? state->sips : state->sip)) &&
          set(uri, state->user, user.end == NULL ? Py_NewRef(Py_None) : ascii(user)) &&
          set(uri, state->password, Py_NewRef(Py_None)) && set(uri, state->host, Py_NewRef(PyTuple_GET_ITEM(found, 0))) &&
          set(uri, state->address, lower(host)) && set(uri, state->port, Py_NewRef(PyTuple_GET_ITEM(found, 1))) &&
          set(uri, state->params, Py_NewRef(params)) && set(uri, state->headers, Py_NewRef(state->nothing)) &&
          set(uri, state->_text, Py_NewRef(whole))))
        Py_CLEAR(uri);
    Py_DECREF(found);
    Py_XDECREF(params);
    return uri;
}

PyObject *native_plain_sip_uri(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Parts parts;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "plain_sip_uri() takes kinds and a text");
        return NULL;
    }
    Span span = span_of(arguments[1]);
    if (!parts_of(arguments[0], &parts) || span.start == NULL)
        return or_none(NULL);
    return or_none(uri_of(PyModule_GetState(module), &parts, arguments[1], span));
}
