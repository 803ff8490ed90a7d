/* PlainCase: a function of Python whose plain case a function of C takes (__init__.py: plain_case). */

#include "native.h"

#define MOST_GIVEN 8 /* arguments */

typedef struct {
    PyObject_HEAD
    PyObject *twin, *kinds, *function, *doc;
    vectorcallfunc call;
} PlainCase;

static PyObject *plaincase_called(PyObject *object, PyObject *const *arguments, size_t count, PyObject *names)
{
    PlainCase *self = (PlainCase *)object;
    Py_ssize_t given = PyVectorcall_NARGS(count);
    if (self->twin == NULL || self->kinds == NULL || self->function == NULL) {
        PyErr_SetString(PyExc_TypeError, "a PlainCase that is gone");
        return NULL;
    }
    if (names == NULL && given <= MOST_GIVEN) {
        PyObject *all[MOST_GIVEN + 1] = {self->kinds};
        memcpy(all + 1, arguments, (size_t)given * sizeof(*arguments));
        PyObject *made = PyObject_Vectorcall(self->twin, all, (size_t)given + 1, NULL);
        if (made != Py_None)
            return made;
        Py_DECREF(made);
    }
    return PyObject_Vectorcall(self->function, arguments, count, names);
}

static PyObject *plaincase_new(PyTypeObject *kind, PyObject *arguments, PyObject *keywords)
{
    PyObject *twin, *kinds, *function;
    static char *names[] = {"twin", "kinds", "function", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO!O:PlainCase", names, &twin, &PyTuple_Type, &kinds, &function))
        return NULL;
    PlainCase *self = (PlainCase *)kind->tp_alloc(kind, 0);
    if (self == NULL)
        return NULL;
    self->call = plaincase_called;
    self->twin = Py_NewRef(twin);
    self->kinds = Py_NewRef(kinds);
    self->function = Py_NewRef(function);
    self->doc = PyObject_GetAttrString(function, "__doc__");
    if (self->doc == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* As a method. */
static PyObject *plaincase_get(PyObject *self, PyObject *owner, PyObject *Py_UNUSED(kind))
{
    return owner == NULL || owner == Py_None ? Py_NewRef(self) : PyMethod_New(self, owner);
}

static int plaincase_traverse(PlainCase *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->twin);
    Py_VISIT(self->kinds);
    Py_VISIT(self->function);
    Py_VISIT(self->doc);
    return 0;
}

static int plaincase_clear(PlainCase *self)
{
    Py_CLEAR(self->twin);
    Py_CLEAR(self->kinds);
    Py_CLEAR(self->function);
    Py_CLEAR(self->doc);
    return 0;
}

static void plaincase_dealloc(PlainCase *self)
{
    PyTypeObject *kind = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    plaincase_clear(self);
    kind->tp_free((PyObject *)self);
    Py_DECREF(kind);
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PlainCase, call), READONLY, NULL},
    {"__wrapped__", T_OBJECT, offsetof(PlainCase, function), READONLY, NULL},
    {"__doc__", T_OBJECT, offsetof(PlainCase, doc), READONLY, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, plaincase_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, plaincase_get},
    {Py_tp_traverse, plaincase_traverse},
    {Py_tp_clear, plaincase_clear},
    {Py_tp_dealloc, plaincase_dealloc},
    {Py_tp_members, members},
    {0, NULL},
};

PyType_Spec plaincase_spec = {
    .name = "sipcgi.compiled.native.PlainCase",
    .basicsize = sizeof(PlainCase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = slots,
};
