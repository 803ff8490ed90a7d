/* Branches, whose digits wait in a pool (ids.py). */

#include "native.h"

/* 16 digits; a new pool is for Python to make. */
static PyObject *digits_of(State *state, PyObject *self)
{
    PyObject *pool = PyObject_GetAttr(self, state->_pool), *digits = NULL;
    if (pool == NULL)
        return NULL;
    Py_ssize_t size = PyList_CheckExact(pool) ? PyList_GET_SIZE(pool) : 0;
    if (size == 0)
        digits = PyObject_CallMethodNoArgs(self, state->_hex);
    else {
        digits = Py_NewRef(PyList_GET_ITEM(pool, size - 1));
        if (PyList_SetSlice(pool, size - 1, size, NULL) < 0)
            Py_CLEAR(digits);
    }
    Py_DECREF(pool);
    return digits;
}

static PyObject *branches_branch(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    PyObject *hash = count == 1 ? arguments[0] : NULL, *made = NULL;
    if (state == NULL || count > 1 || (hash != NULL && !PyUnicode_Check(hash))) {
        PyErr_SetString(PyExc_TypeError, "branch() takes a text");
        return NULL;
    }
    PyObject *prefix = PyObject_GetAttr(self, state->_branch_prefix);
    PyObject *digits = prefix == NULL ? NULL : digits_of(state, self);
    if (digits != NULL && !(PyUnicode_Check(prefix) && PyUnicode_Check(digits)))
        PyErr_SetString(PyExc_TypeError, "a branch is of texts");
    else if (digits != NULL && hash != NULL && PyUnicode_GetLength(hash) > 0)
        made = PyUnicode_FromFormat("%U%U.%U", prefix, digits, hash);
    else if (digits != NULL)
        made = PyUnicode_Concat(prefix, digits);
    Py_XDECREF(prefix);
    Py_XDECREF(digits);
    return made;
}

static PyMethodDef methods[] = {
    {"branch", (PyCFunction)(void (*)(void))branches_branch, METH_FASTCALL, "A branch parameter."},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec branches_spec = {
    .name = "sipcgi.compiled.native.Branches",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
