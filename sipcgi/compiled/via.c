/* A Via in its plain form (sip/via.py). */

#include "native.h"

#define MAX_PLAIN 1024 /* far below MAX_ELEMENT of sip/grammar.py */
#define MAX_HOST 255

static const uint16_t default_port[TRANSPORTS] = {5060, 5060, 5061, 80, 443, 5060, 5061};

/* `host:port` in lower case (RFC 3261 18.1.2). */
static PyObject *sent_by(PyObject *host, long port)
{
    char made[MAX_HOST + sizeof(":65535")];
    Span span = span_of(host);
    if (span.start == NULL || LENGTH(span) > MAX_HOST || port < 0 || port > 65535)
        return NULL;
    char *at = made;
    while (span.start < span.end)
        *at++ = (char)Py_TOLOWER(*span.start++);
    at += snprintf(at, sizeof(":65535"), ":%ld", port);
    return ascii((Span){made, at});
}

/* Which of the transports it is; TRANSPORTS for none. */
static int transport_of(State *state, Span span)
{
    int at = 0;
    for (; at < TRANSPORTS; at++) {
        Span word = span_of(state->transport_word[at]);
        if (LENGTH(word) == LENGTH(span) && memcmp(word.start, span.start, (size_t)LENGTH(span)) == 0)
            break;
    }
    return at;
}

/* What is asked of the parameters of every Via: the branch, and whether others say something of the way back. */
static int set_found(State *state, PyObject *via, PyObject *params)
{
    PyObject *const way[] = {state->maddr, state->received, state->rport};
    int said = 0;
    for (size_t at = 0; at < Py_ARRAY_LENGTH(way) && said == 0; at++)
        said = PyDict_Contains(params, way[at]);
    PyObject *branch = said < 0 ? NULL : PyDict_GetItemWithError(params, state->branch);
    return said >= 0 && !PyErr_Occurred() && set(via, state->branch, Py_NewRef(branch == NULL ? Py_None : branch)) &&
           set(via, state->bare, PyBool_FromLong(!said));
}

PyObject *via_of(State *state, PyObject *kinds, Span span)
{
    Parts parts;
    if (!parts_of(kinds, &parts) || LENGTH(span) > MAX_PLAIN || LENGTH(span) < 8 || memcmp(span.start, "SIP/2.0/", 8) != 0)
        return NULL;
    const char *blank = memchr(span.start + 8, ' ', (size_t)LENGTH(span) - 8);
    int transport = blank == NULL ? TRANSPORTS : transport_of(state, (Span){span.start + 8, blank});
    if (transport == TRANSPORTS)
        return NULL;
    Span place = {blank + 1, blank + 1};
    while (place.end < span.end && IS(*place.end, VALUE)) /* ";" is none */
        place.end++;

    PyObject *via = NULL, *params = NULL, *compared = NULL, *found = parsed_part(&parts, place);
    if (found == NULL)
        return NULL;
    if (!PyTuple_Check(found) || PyTuple_GET_SIZE(found) != 2)
        goto done;
    PyObject *host = PyTuple_GET_ITEM(found, 0), *port = PyTuple_GET_ITEM(found, 1);
    long number = port == Py_None ? default_port[transport] : PyLong_AsLong(port);
    if (number == -1 && PyErr_Occurred())
        goto done;
    compared = sent_by(host, number);
    params = compared == NULL ? NULL : params_or_none(state, &parts, (Span){place.end, span.end}, TOKEN, VALUE);
    via = params == NULL || !PyDict_Check(params) ? NULL : new_object(state, parts.kind);
    if (via != NULL && !(set(via, state->protocol, Py_NewRef(state->sip20)) &&
                         set(via, state->transport, Py_NewRef(state->transport_word[transport])) &&
                         set(via, state->host, Py_NewRef(host)) && set(via, state->port, Py_NewRef(port)) &&
                         set(via, state->params, Py_NewRef(params)) && set(via, state->sent_by, Py_NewRef(compared)) && set_found(state, via, params)))
        Py_CLEAR(via);
done:
    Py_DECREF(found);
    Py_XDECREF(params);
    Py_XDECREF(compared);
    return via;
}

PyObject *native_plain_via(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "via() takes kinds and a text");
        return NULL;
    }
    Span span = span_of(arguments[1]);
    if (span.start == NULL)
        Py_RETURN_NONE;
    return or_none(via_of(PyModule_GetState(module), arguments[0], span));
}
