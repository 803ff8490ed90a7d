/* Fields: the two lists of header fields, and finding one by its canonical name (sip/headers.py). */

#include "native.h"

/* No part of the collection of cycles: what its lists hold are strings. */
typedef struct {
    PyObject_HEAD
    PyObject *names, *lines;
} Fields;

static void fields_dealloc(Fields *self)
{
    PyTypeObject *kind = Py_TYPE(self);
    Py_CLEAR(self->names);
    Py_CLEAR(self->lines);
    kind->tp_free((PyObject *)self);
    Py_DECREF(kind);
}

/* Takes the lists in any case. */
PyObject *fields_of(PyTypeObject *kind, PyObject *names, PyObject *lines)
{
    Fields *made = (Fields *)kind->tp_alloc(kind, 0);
    if (made == NULL) {
        Py_DECREF(names);
        Py_DECREF(lines);
        return NULL;
    }
    made->names = names;
    made->lines = lines;
    return (PyObject *)made;
}

static PyObject *fields_of_lists(PyObject *kind, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyList_CheckExact(arguments[0]) || !PyList_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "of() takes two lists");
        return NULL;
    }
    return fields_of((PyTypeObject *)kind, Py_NewRef(arguments[0]), Py_NewRef(arguments[1]));
}

static int has_lists(Fields *self)
{
    if (self->names != NULL && self->lines != NULL && PyList_CheckExact(self->names) && PyList_CheckExact(self->lines))
        return 1;
    PyErr_SetString(PyExc_TypeError, "names and lines are lists");
    return 0;
}

/* The index of the first field of that name from `at` on, -1 without one. */
Py_ssize_t find(PyObject *names, PyObject *name, Py_ssize_t at)
{
    for (; at < PyList_GET_SIZE(names); at++)
        if (same_text(PyList_GET_ITEM(names, at), name))
            return at;
    return -1;
}

static PyObject *piece_of(PyObject *string, Py_ssize_t start, Py_ssize_t end)
{
    const void *data = PyUnicode_DATA(string);
    int kind = PyUnicode_KIND(string);
#define IS_BLANK(at) (PyUnicode_READ(kind, data, at) == ' ' || PyUnicode_READ(kind, data, at) == '\t')
    while (start < end && IS_BLANK(start))
        start++;
    while (start < end && IS_BLANK(end - 1))
        end--;
#undef IS_BLANK
    return PyUnicode_Substring(string, start, end);
}

/* RFC 3261 7.3.1: a fold is a single SP. Takes `value`. */
static PyObject *unfolded(PyObject *value)
{
    PyObject *joined = NULL, *end = PyUnicode_FromString("\r\n"), *blank = PyUnicode_FromString(" ");
    PyObject *pieces = end == NULL || blank == NULL ? NULL : PyUnicode_Split(value, end, -1);
    if (pieces != NULL) {
        for (Py_ssize_t at = 0; at < PyList_GET_SIZE(pieces); at++) {
            PyObject *piece = PyList_GET_ITEM(pieces, at);
            piece = piece_of(piece, 0, PyUnicode_GET_LENGTH(piece));
            if (piece == NULL || PyList_SetItem(pieces, at, piece) < 0)
                goto done;
        }
        joined = PyUnicode_Join(blank, pieces);
        if (joined != NULL)
            Py_SETREF(joined, piece_of(joined, 0, PyUnicode_GET_LENGTH(joined)));
    }
done:
    Py_XDECREF(pieces);
    Py_XDECREF(end);
    Py_XDECREF(blank);
    Py_DECREF(value);
    return joined;
}

/* What stands behind the colon of a line, stripped and unfolded. */
PyObject *value_of(PyObject *line)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(line), colon = PyUnicode_FindChar(line, ':', 0, length, 1);
    PyObject *value = piece_of(line, colon < 0 ? length : colon + 1, length);
    if (value != NULL && PyUnicode_FindChar(value, '\r', 0, PyUnicode_GET_LENGTH(value), 1) >= 0)
        return unfolded(value);
    return value;
}

static PyObject *value_at(Fields *self, Py_ssize_t at)
{
    PyObject *line = at < PyList_GET_SIZE(self->lines) ? PyList_GET_ITEM(self->lines, at) : NULL;
    if (line != NULL && IS_TEXT(line))
        return value_of(line);
    PyErr_SetString(PyExc_TypeError, "each name has its line");
    return NULL;
}

static PyObject *fields_get(Fields *self, PyObject *name)
{
    if (!has_lists(self))
        return NULL;
    Py_ssize_t at = find(self->names, name, 0);
    if (at < 0)
        Py_RETURN_NONE;
    return value_at(self, at);
}

static PyObject *fields_all(Fields *self, PyObject *name)
{
    if (!has_lists(self))
        return NULL;
    PyObject *values = PyList_New(0);
    for (Py_ssize_t at = 0; values != NULL && (at = find(self->names, name, at)) >= 0; at++) {
        PyObject *value = value_at(self, at);
        if (value == NULL || PyList_Append(values, value) < 0)
            Py_CLEAR(values);
        Py_XDECREF(value);
    }
    return values;
}

static PyObject *fields_values(Fields *self, PyObject *Py_UNUSED(nothing))
{
    if (!has_lists(self))
        return NULL;
    PyObject *values = PyList_New(0);
    for (Py_ssize_t at = 0; values != NULL && at < PyList_GET_SIZE(self->lines); at++) {
        PyObject *value = value_at(self, at);
        if (value == NULL || PyList_Append(values, value) < 0)
            Py_CLEAR(values);
        Py_XDECREF(value);
    }
    return values;
}

static PyObject *fields_count(Fields *self, PyObject *name)
{
    if (!has_lists(self))
        return NULL;
    Py_ssize_t count = 0;
    for (Py_ssize_t at = 0; (at = find(self->names, name, at)) >= 0; at++)
        count++;
    return PyLong_FromSsize_t(count);
}

static PyObject *fields_sole(Fields *self, PyObject *name)
{
    if (!has_lists(self))
        return NULL;
    Py_ssize_t at = find(self->names, name, 0);
    if (at < 0 || find(self->names, name, at + 1) >= 0)
        Py_RETURN_NONE;
    PyObject *line = at < PyList_GET_SIZE(self->lines) ? PyList_GET_ITEM(self->lines, at) : NULL;
    if (line != NULL && IS_TEXT(line) && PyUnicode_FindChar(line, ',', 0, PyUnicode_GET_LENGTH(line), 1) >= 0)
        Py_RETURN_NONE;
    return value_at(self, at);
}

static int fields_contains(Fields *self, PyObject *name)
{
    return has_lists(self) ? find(self->names, name, 0) >= 0 : -1;
}

static Py_ssize_t fields_length(Fields *self)
{
    return has_lists(self) ? PyList_GET_SIZE(self->names) : -1;
}

static PyMethodDef methods[] = {
    {"of", (PyCFunction)(void (*)(void))fields_of_lists, METH_FASTCALL | METH_CLASS, "Made of the two lists as they are."},
    {"get", (PyCFunction)fields_get, METH_O, "The value of the first field of that name, unfolded and stripped."},
    {"all", (PyCFunction)fields_all, METH_O, "The values of all fields of that name."},
    {"values", (PyCFunction)fields_values, METH_NOARGS, "The values of all fields, in order."},
    {"sole", (PyCFunction)fields_sole, METH_O, "The value of the only field of that name, if it is surely one element."},
    {"count", (PyCFunction)fields_count, METH_O, "How many fields of that name there are."},
    {NULL},
};

static PyMemberDef members[] = {
    {"names", T_OBJECT_EX, offsetof(Fields, names), 0, NULL},
    {"lines", T_OBJECT_EX, offsetof(Fields, lines), 0, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, fields_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_sq_contains, fields_contains},
    {Py_sq_length, fields_length},
    {0, NULL},
};

PyType_Spec fields_spec = {
    .name = "sipcgi.compiled.native.Fields",
    .basicsize = sizeof(Fields),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
