/* The copy of a request that goes to one target (proxy/forward.py), in the plain case. */

#include "native.h"

#define INITIAL_HOPS 70 /* RFC 3261 16.6 item 3 */

/* Whether it begins with that word, in any case. What strncasecmp says depends on the locale, and a Turkish I is another one. */
static int begins(const char *at, const char *word)
{
    while (*word != '\0' && Py_TOLOWER(*at) == *word)
        at++, word++;
    return *word == '\0';
}

/* Whether nothing is in it that may have to go (16.6 item 2), nor must Record-Route be a SIPS URI for it (item 4). */
static int is_plain_uri(Span uri)
{
    if (uri.start == NULL || memchr(uri.start, '?', (size_t)LENGTH(uri)) != NULL ||
        (LENGTH(uri) >= 5 && begins(uri.start, "sips:")))
        return 0;
    for (const char *at = uri.start; (at = memchr(at, '=', (size_t)(uri.end - at))) != NULL; at++)
        if (at - uri.start >= 6 && begins(at - 6, "method"))
            return 0;
    return 1;
}

/* Max-Forwards of the copy; -1 for none, or an exception. */
static long hops_of(State *state, PyObject *request)
{
    PyObject *found = PyObject_GetAttr(request, state->max_forwards);
    long hops = -1;
    if (found == Py_None)
        hops = INITIAL_HOPS;
    else if (found == NULL)
        forgiven();
    else if (PyLong_CheckExact(found) && (hops = PyLong_AsLong(found)) != -1)
        hops -= 1;
    Py_XDECREF(found);
    return hops;
}

/* The canonical name of a field; NULL without an exception for what is no token. */
static PyObject *canonical(PyObject *known, PyObject *name)
{
    Span span = span_of(name);
    if (span.start == NULL || !is_token(span))
        return NULL;
    PyObject *found = PyDict_GetItemWithError(known, name);
    if (found != NULL || PyErr_Occurred())
        return Py_XNewRef(found);
    PyObject *small = lower(span);
    found = small == NULL ? NULL : PyDict_GetItemWithError(known, small);
    if (found != NULL)
        Py_SETREF(small, Py_NewRef(found));
    return small;
}

static int is_value(PyObject *text)
{
    if (!IS_TEXT(text))
        return 0;
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    return PyUnicode_FindChar(text, '\r', 0, length, 1) == -1 && PyUnicode_FindChar(text, '\n', 0, length, 1) == -1 &&
           PyUnicode_FindChar(text, 0, 0, length, 1) == -1;
}

/* Puts in fields that a script printed, if all are new and none is `watched`. */
static int put_new(State *state, Lists *lists, PyObject *fields, PyObject *known, PyObject *watched)
{
    Py_ssize_t top = after_vias(state, lists);
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(fields); at++) {
        PyObject *field = PyList_GET_ITEM(fields, at);
        if (!PyTuple_CheckExact(field) || PyTuple_GET_SIZE(field) != 2 || !PyUnicode_CheckExact(PyTuple_GET_ITEM(field, 0)) ||
            !is_value(PyTuple_GET_ITEM(field, 1)))
            return 0;
        PyObject *spelling = PyTuple_GET_ITEM(field, 0), *name = canonical(known, spelling);
        if (name == NULL)
            return 0;
        int done = IS_TEXT(name) && PySet_Contains(watched, name) == 0 && find(lists->names, name, 0) < 0 &&
                   inserted(lists, top + at, name, PyUnicode_FromFormat("%U: %U", spelling, PyTuple_GET_ITEM(field, 1)));
        Py_DECREF(name);
        if (!done)
            return 0;
    }
    return 1;
}

/* The fields of Edits, if they change nothing else. NULL is none, or an exception. */
static PyObject *new_fields(State *state, PyObject *edits)
{
    PyObject *fields = PyObject_GetAttr(edits, state->headers);
    PyObject *removed = fields == NULL ? NULL : PyObject_GetAttr(edits, state->remove);
    PyObject *body = removed == NULL ? NULL : PyObject_GetAttr(edits, state->body);
    if (body != Py_None || !PyList_CheckExact(fields) || !PyAnySet_Check(removed) || PySet_GET_SIZE(removed) > 0)
        Py_CLEAR(fields);
    Py_XDECREF(removed);
    Py_XDECREF(body);
    return fields;
}

static int is_plain(State *state, const Lists *lists)
{
    return find(lists->names, state->route, 0) < 0 && find(lists->names, state->field[CONTENT_LENGTH], 0) >= 0;
}

/* Known names and watched ones; request, URI and Via; Record-Route, edits and Max-Breadth, each of which may be missing
   or None. */
PyObject *native_plain_forward(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    PyObject *given[7] = {Py_None, Py_None, Py_None, Py_None, Py_None, Py_None, Py_None};
    memcpy(given, arguments, (size_t)(count < 7 ? count : 7) * sizeof(*given));
    PyObject *kinds = given[0], *request = given[1], *record_route = given[4] == Py_None ? state->nothing : given[4];
    if (count < 4 || count > 7 || !PyTuple_Check(kinds) || PyTuple_GET_SIZE(kinds) != 2 ||
        !PyDict_Check(PyTuple_GET_ITEM(kinds, 0)) || !PyAnySet_Check(PyTuple_GET_ITEM(kinds, 1)) ||
        !PyUnicode_Check(given[3]) || !PyUnicode_Check(record_route)) {
        PyErr_SetString(PyExc_TypeError, "plain_forward() takes names, a request, values, edits, a number");
        return NULL;
    }
    long breadth = given[6] == Py_None ? -1 : PyLong_AsLong(given[6]);
    if (breadth == -1 && PyErr_Occurred())
        return NULL;
    long hops = is_plain_uri(span_of(given[2])) ? hops_of(state, request) : -1;
    PyObject *fields = hops < 0 ? NULL : given[5] == Py_None ? PyList_New(0) : new_fields(state, given[5]), *made = NULL;
    if (fields == NULL)
        return or_none(NULL);
    Lists lists = {NULL, NULL}, copy = {NULL, NULL};
    PyObject *headers = PyObject_GetAttr(request, state->headers);
    if (headers != NULL && lists_in(state, headers, &lists) && is_plain(state, &lists) && copied(&lists, &copy) &&
        put_new(state, &copy, fields, PyTuple_GET_ITEM(kinds, 0), PyTuple_GET_ITEM(kinds, 1)) &&
        put_on_top(state, &copy, hops, breadth, record_route, given[3]) &&
        (made = new_object(state, Py_TYPE(request))) != NULL &&
        !(set(made, state->method, PyObject_GetAttr(request, state->method)) &&
          set(made, state->uri, Py_NewRef(given[2])) && set(made, state->headers, with_lists(headers, &copy)) &&
          set(made, state->body, PyObject_GetAttr(request, state->body))))
        Py_CLEAR(made);
    released(&lists);
    released(&copy);
    Py_XDECREF(headers);
    Py_DECREF(fields);
    return or_none(made);
}
