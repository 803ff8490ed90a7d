/* The lines that change in a message on its way through a proxy (sip/splice.py), and the lists that they stand in. */

#include "native.h"

static int are_lists(PyObject *names, PyObject *lines)
{
    if (PyList_CheckExact(names) && PyList_CheckExact(lines) && PyList_GET_SIZE(names) == PyList_GET_SIZE(lines))
        return 1;
    PyErr_SetString(PyExc_TypeError, "each name has its line");
    return 0;
}

/* Those of header fields, new references. */
int lists_in(State *state, PyObject *headers, Lists *lists)
{
    if (!PyObject_TypeCheck(headers, state->fields)) {
        PyErr_SetString(PyExc_TypeError, "header fields are expected");
        return 0;
    }
    lists->names = PyObject_GetAttr(headers, state->names);
    lists->lines = lists->names == NULL ? NULL : PyObject_GetAttr(headers, state->lines);
    return lists->lines != NULL && are_lists(lists->names, lists->lines);
}

int copied(const Lists *lists, Lists *copy)
{
    copy->names = PyList_GetSlice(lists->names, 0, PyList_GET_SIZE(lists->names));
    copy->lines = PyList_GetSlice(lists->lines, 0, PyList_GET_SIZE(lists->lines));
    return copy->names != NULL && copy->lines != NULL;
}

void released(Lists *lists)
{
    Py_CLEAR(lists->names);
    Py_CLEAR(lists->lines);
}

/* Header fields like those, which take the lists. */
PyObject *with_lists(PyObject *headers, Lists *taken)
{
    PyObject *made = fields_of(Py_TYPE(headers), taken->names, taken->lines);
    *taken = (Lists){NULL, NULL};
    return made;
}

/* Takes the line, of which NULL is a failure before. */
int inserted(Lists *lists, Py_ssize_t at, PyObject *name, PyObject *line)
{
    int done = line != NULL && PyList_Insert(lists->names, at, name) == 0 && PyList_Insert(lists->lines, at, line) == 0;
    Py_XDECREF(line);
    return done;
}

int replaced(Lists *lists, Py_ssize_t at, PyObject *line)
{
    return line != NULL && PyList_SetItem(lists->lines, at, line) == 0; /* which takes the line */
}

int deleted(Lists *lists, Py_ssize_t at)
{
    return PyList_SetSlice(lists->names, at, at + 1, NULL) == 0 && PyList_SetSlice(lists->lines, at, at + 1, NULL) == 0;
}

/* Where new fields go. */
Py_ssize_t after_vias(State *state, const Lists *lists)
{
    Py_ssize_t top = 0;
    for (Py_ssize_t at = -1; (at = find(lists->names, state->field[VIA], at + 1)) >= 0;)
        top = at + 1;
    return top;
}

/* In the place of the first one, else at `top`. */
static int put(Lists *lists, Py_ssize_t top, PyObject *name, PyObject *line)
{
    Py_ssize_t at = find(lists->names, name, 0);
    return at < 0 ? inserted(lists, top, name, line) : replaced(lists, at, line);
}

/* A number below 0 and an empty Record-Route leave that field as it is. */
int put_on_top(State *state, Lists *lists, long hops, long breadth, PyObject *record_route, PyObject *value)
{
    PyObject *via = state->field[VIA];
    if (breadth >= 0) { /* of several the first stays */
        Py_ssize_t at = find(lists->names, state->max_breadth, 0);
        while (at >= 0 && (at = find(lists->names, state->max_breadth, at + 1)) >= 0)
            if (!deleted(lists, at--))
                return 0;
    }
    Py_ssize_t top = after_vias(state, lists);
    if (hops >= 0 && !put(lists, top, state->field[MAX_FORWARDS], PyUnicode_FromFormat("Max-Forwards: %ld", hops)))
        return 0;
    if (breadth >= 0 && !put(lists, top, state->max_breadth, PyUnicode_FromFormat("Max-Breadth: %ld", breadth)))
        return 0;
    if (PyUnicode_GET_LENGTH(record_route) > 0) { /* 16.6 item 4: before the existing ones */
        Py_ssize_t at = find(lists->names, state->record_route, 0);
        if (!inserted(lists, at < 0 ? top : at, state->record_route, PyUnicode_FromFormat("Record-Route: %U", record_route)))
            return 0;
    }
    /* 16.6 item 8: likewise; a request of our own has none */
    return inserted(lists, top > 0 ? find(lists->names, via, 0) : 0, via, PyUnicode_FromFormat("Via: %U", value));
}

PyObject *native_put_on_top(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 6 || !PyUnicode_Check(arguments[4]) || !PyUnicode_Check(arguments[5])) {
        PyErr_SetString(PyExc_TypeError, "put_on_top() takes two lists, two numbers, two values");
        return NULL;
    }
    long hops = PyLong_AsLong(arguments[2]), breadth = PyLong_AsLong(arguments[3]);
    Lists lists = {arguments[0], arguments[1]};
    if (PyErr_Occurred() || !are_lists(lists.names, lists.lines) ||
        !put_on_top(PyModule_GetState(module), &lists, hops, breadth, arguments[4], arguments[5]))
        return NULL;
    Py_RETURN_NONE;
}

static int is_cgi(PyObject *name)
{
    static const char mark[] = "cgi-";
    if (!IS_TEXT(name) || PyUnicode_GET_LENGTH(name) < 4)
        return 0;
    for (Py_ssize_t at = 0; at < 4; at++)
        if (PyUnicode_READ_CHAR(name, at) != (Py_UCS4)mark[at])
            return 0;
    return 1;
}

PyObject *native_forget_cgi_fields(PyObject *module, PyObject *headers)
{
    Lists lists = {NULL, NULL};
    int done = lists_in(PyModule_GetState(module), headers, &lists);
    for (Py_ssize_t at = done ? PyList_GET_SIZE(lists.names) : 0; done && at-- > 0;)
        if (is_cgi(PyList_GET_ITEM(lists.names, at)))
            done = deleted(&lists, at);
    released(&lists);
    return done ? Py_NewRef(Py_None) : NULL;
}

PyObject *native_ends_of(PyObject *module, PyObject *headers)
{
    State *state = PyModule_GetState(module);
    Lists lists = {NULL, NULL};
    PyObject *ends = NULL;
    if (lists_in(state, headers, &lists)) {
        Py_ssize_t from = find(lists.names, state->field[FROM], 0), to = find(lists.names, state->field[TO], 0);
        if (from < 0 || to < 0)
            PyErr_SetString(PyExc_ValueError, "a request has From and To");
        else
            ends = PyTuple_Pack(2, PyList_GET_ITEM(lists.lines, from), PyList_GET_ITEM(lists.lines, to));
    }
    released(&lists);
    return ends;
}

/* Whether a To line is the one that was sent, or that one with a tag behind it. */
static int is_answered(PyObject *line, PyObject *sent)
{
    Span all = span_of(line), before = span_of(sent);
    if (all.start == NULL || before.start == NULL || LENGTH(all) < LENGTH(before) ||
        memcmp(all.start, before.start, (size_t)LENGTH(before)) != 0)
        return 0;
    all.start += LENGTH(before);
    return all.start == all.end || (LENGTH(all) >= 5 && memcmp(all.start, ";tag=", 5) == 0);
}

#define MAX_PLAIN 60000 /* octets that surely fit into a datagram, four for each character of a line */

/* In place; 0 without an exception for what is not plain. */
static int put_back(State *state, Lists *lists, const Lists *sent, Py_ssize_t size)
{
    PyObject *const *name = state->field;
    Py_ssize_t via = find(lists->names, name[VIA], 0), from = find(lists->names, name[FROM], 0);
    Py_ssize_t to = find(lists->names, name[TO], 0), from_sent = find(sent->names, name[FROM], 0);
    Py_ssize_t to_sent = find(sent->names, name[TO], 0);
    if (via < 0 || from < 0 || to < 0 || from_sent < 0 || to_sent < 0 || find(lists->names, name[VIA], via + 1) < 0 ||
        find(lists->names, name[CONTENT_LENGTH], 0) < 0)
        return 0;
    Span top = span_of(PyList_GET_ITEM(lists->lines, via));
    if (top.start == NULL || memchr(top.start, ',', (size_t)LENGTH(top)) != NULL ||
        !is_answered(PyList_GET_ITEM(lists->lines, to), PyList_GET_ITEM(sent->lines, to_sent)) ||
        !replaced(lists, from, Py_NewRef(PyList_GET_ITEM(sent->lines, from_sent))) || !deleted(lists, via))
        return 0;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(lists->lines); at++) {
        PyObject *line = PyList_GET_ITEM(lists->lines, at);
        if (is_cgi(PyList_GET_ITEM(lists->names, at)) || !IS_TEXT(line))
            return 0;
        size += 4 * PyUnicode_GET_LENGTH(line);
    }
    return size < MAX_PLAIN;
}

/* A response as it goes back to the request of those fields; NULL without an exception for one that is not plain. */
PyObject *way_back(State *state, PyObject *received, PyObject *fields)
{
    Lists lists = {NULL, NULL}, made = {NULL, NULL}, sent = {NULL, NULL};
    PyObject *headers = PyObject_GetAttr(received, state->headers), *response = NULL;
    PyObject *body = headers == NULL ? NULL : PyObject_GetAttr(received, state->body);
    if (body != NULL && PyBytes_Check(body) && lists_in(state, headers, &lists) && lists_in(state, fields, &sent) &&
        copied(&lists, &made) && put_back(state, &made, &sent, PyBytes_GET_SIZE(body)) &&
        (response = new_object(state, Py_TYPE(received))) != NULL &&
        !(set(response, state->status, PyObject_GetAttr(received, state->status)) &&
          set(response, state->reason, PyObject_GetAttr(received, state->reason)) &&
          set(response, state->headers, with_lists(headers, &made)) && set(response, state->body, Py_NewRef(body))))
        Py_CLEAR(response);
    released(&lists);
    released(&sent);
    released(&made);
    Py_XDECREF(headers);
    Py_XDECREF(body);
    return response;
}

PyObject *native_plain_way_back(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count == 2)
        return or_none(way_back(PyModule_GetState(module), arguments[0], arguments[1]));
    PyErr_SetString(PyExc_TypeError, "plain_way_back() takes a response and header fields");
    return NULL;
}
