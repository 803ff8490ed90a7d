/* The lines that change in a message on its way through a proxy (sip/splice.py). */

#include "native.h"

/* Both lists of a message, as long as each other. */
typedef struct {
    PyObject *names, *lines;
} Lists;

static int lists_of(PyObject *names, PyObject *lines, Lists *lists)
{
    if (PyList_CheckExact(names) && PyList_CheckExact(lines) && PyList_GET_SIZE(names) == PyList_GET_SIZE(lines)) {
        *lists = (Lists){names, lines};
        return 1;
    }
    PyErr_SetString(PyExc_TypeError, "each name has its line");
    return 0;
}

/* Takes the line, of which NULL is a failure before. */
static int insert(Lists *lists, Py_ssize_t at, PyObject *name, PyObject *line)
{
    int done = line != NULL && PyList_Insert(lists->names, at, name) == 0 && PyList_Insert(lists->lines, at, line) == 0;
    Py_XDECREF(line);
    return done;
}

static int replace(Lists *lists, Py_ssize_t at, PyObject *line)
{
    return line != NULL && PyList_SetItem(lists->lines, at, line) == 0; /* which takes the line */
}

static int delete(Lists *lists, Py_ssize_t at)
{
    return PyList_SetSlice(lists->names, at, at + 1, NULL) == 0 && PyList_SetSlice(lists->lines, at, at + 1, NULL) == 0;
}

/* In the place of the first one, else at `top`. */
static int put(Lists *lists, Py_ssize_t top, PyObject *name, PyObject *line)
{
    Py_ssize_t at = find(lists->names, name, 0);
    return at < 0 ? insert(lists, top, name, line) : replace(lists, at, line);
}

PyObject *native_put_on_top(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    PyObject *via = state->field[VIA];
    Lists lists;
    if (count != 6 || !PyUnicode_Check(arguments[4]) || !PyUnicode_Check(arguments[5])) {
        PyErr_SetString(PyExc_TypeError, "put_on_top() takes two lists, two numbers, two values");
        return NULL;
    }
    long hops = PyLong_AsLong(arguments[2]), breadth = PyLong_AsLong(arguments[3]);
    if (PyErr_Occurred() || !lists_of(arguments[0], arguments[1], &lists))
        return NULL;
    if (breadth >= 0) { /* of several the first stays */
        Py_ssize_t at = find(lists.names, state->max_breadth, 0);
        while (at >= 0 && (at = find(lists.names, state->max_breadth, at + 1)) >= 0)
            if (!delete(&lists, at--))
                return NULL;
    }
    Py_ssize_t top = 0, first = find(lists.names, via, 0);
    for (Py_ssize_t at = first; at >= 0; at = find(lists.names, via, at + 1))
        top = at + 1;
    if (hops >= 0 && !put(&lists, top, state->field[MAX_FORWARDS], PyUnicode_FromFormat("Max-Forwards: %ld", hops)))
        return NULL;
    if (breadth >= 0 && !put(&lists, top, state->max_breadth, PyUnicode_FromFormat("Max-Breadth: %ld", breadth)))
        return NULL;
    if (PyUnicode_GET_LENGTH(arguments[4]) > 0) { /* 16.6 item 4: before the existing ones */
        Py_ssize_t at = find(lists.names, state->record_route, 0);
        if (!insert(&lists, at < 0 ? top : at, state->record_route, PyUnicode_FromFormat("Record-Route: %U", arguments[4])))
            return NULL;
    }
    first = top > 0 ? find(lists.names, via, 0) : 0; /* 16.6 item 8: likewise; a request of our own has none */
    if (!insert(&lists, first, via, PyUnicode_FromFormat("Via: %U", arguments[5])))
        return NULL;
    Py_RETURN_NONE;
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

PyObject *native_plain_way_back(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    Lists lists;
    if (count != 3 || !PyObject_TypeCheck(arguments[0], state->fields) || !PyUnicode_Check(arguments[1]) ||
        !PyUnicode_Check(arguments[2])) {
        PyErr_SetString(PyExc_TypeError, "plain_way_back() takes header fields and two lines");
        return NULL;
    }
    PyObject *names = PyObject_GetAttr(arguments[0], state->names);
    PyObject *lines = names == NULL ? NULL : PyObject_GetAttr(arguments[0], state->lines);
    PyObject *made = NULL;
    if (lines == NULL || !lists_of(names, lines, &lists))
        goto done;
    Py_ssize_t via = find(lists.names, state->field[VIA], 0), from = find(lists.names, state->field[FROM], 0);
    Py_ssize_t to = find(lists.names, state->field[TO], 0);
    if (via < 0 || from < 0 || to < 0 || find(lists.names, state->field[VIA], via + 1) < 0)
        goto done;
    Span top = span_of(PyList_GET_ITEM(lines, via));
    if (top.start == NULL || memchr(top.start, ',', (size_t)LENGTH(top)) != NULL ||
        !is_answered(PyList_GET_ITEM(lines, to), arguments[2]))
        goto done;
    lists.names = PyList_GetSlice(names, 0, PyList_GET_SIZE(names));
    lists.lines = PyList_GetSlice(lines, 0, PyList_GET_SIZE(lines));
    if (lists.names != NULL && lists.lines != NULL && replace(&lists, from, Py_NewRef(arguments[1])) && delete(&lists, via))
        made = fields_of(Py_TYPE(arguments[0]), lists.names, lists.lines); /* which takes the lists */
    else {
        Py_XDECREF(lists.names);
        Py_XDECREF(lists.lines);
    }
done:
    Py_XDECREF(names);
    Py_XDECREF(lines);
    return or_none(made);
}
