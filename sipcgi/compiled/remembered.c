/* What a text was parsed to, kept for the next time: a text that is new (sip/remembered.py). */

#include "native.h"

#define LONGEST 256 /* as there */

static int keep(PyObject *self, PyObject *text, PyObject *made, Py_ssize_t most)
{
    PyObject *oldest;
    Py_ssize_t at = 0;
    if (PyDict_GET_SIZE(self) >= most && PyDict_Next(self, &at, &oldest, NULL)) {
        Py_INCREF(oldest);
        int failed = PyDict_DelItem(self, oldest);
        Py_DECREF(oldest);
        if (failed)
            return 0;
    }
    return PyDict_SetItem(self, text, made) == 0;
}

static PyObject *remembered_missing(PyObject *self, PyTypeObject *kind, PyObject *const *arguments, Py_ssize_t count,
                                    PyObject *names)
{
    State *state = PyType_GetModuleState(kind);
    if (state == NULL || count != 1 || names != NULL || !PyUnicode_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "a text is expected");
        return NULL;
    }
    PyObject *make = PyObject_GetAttr(self, state->make), *made = make == NULL ? NULL : PyObject_CallOneArg(make, arguments[0]);
    Py_XDECREF(make);
    if (made == NULL || PyUnicode_GET_LENGTH(arguments[0]) >= LONGEST)
        return made;
    PyObject *number = PyObject_GetAttr(self, state->most);
    Py_ssize_t most = number == NULL ? -1 : PyLong_AsSsize_t(number);
    Py_XDECREF(number);
    if (PyErr_Occurred() || !keep(self, arguments[0], made, most))
        Py_CLEAR(made);
    return made;
}

/* That of a dictionary does not know that who keeps it has a class on the heap. */
static int remembered_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return PyDict_Type.tp_traverse(self, visit, arg);
}

static int remembered_clear(PyObject *self)
{
    return PyDict_Type.tp_clear(self);
}

static PyMethodDef methods[] = {
    {"__missing__", (PyCFunction)(void (*)(void))remembered_missing, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "Makes what a text stands for, and keeps it."},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_base, &PyDict_Type},
    {Py_tp_traverse, remembered_traverse},
    {Py_tp_clear, remembered_clear},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec remembered_spec = {
    .name = "sipcgi.compiled.native.Kept",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
