/* lazy: an attribute that is made on first use (sip/lazy.py). */

#include "native.h"

typedef struct {
    PyObject_HEAD
    PyObject *make, *name, *doc;
} Lazy;

static int lazy_init(Lazy *self, PyObject *arguments, PyObject *keywords)
{
    PyObject *make;
    static char *names[] = {"make", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:lazy", names, &make))
        return -1;
    PyObject *name = PyObject_GetAttrString(make, "__name__"), *doc = PyObject_GetAttrString(make, "__doc__");
    if (name == NULL || doc == NULL) {
        Py_XDECREF(name);
        Py_XDECREF(doc);
        return -1;
    }
    Py_XSETREF(self->make, Py_NewRef(make));
    Py_XSETREF(self->name, name);
    Py_XSETREF(self->doc, doc);
    return 0;
}

/* Without a setter it gives way to what stands in the object's own dictionary from then on. */
static PyObject *lazy_get(Lazy *self, PyObject *owner, PyObject *Py_UNUSED(kind))
{
    if (self->make == NULL) {
        PyErr_SetString(PyExc_TypeError, "lazy() without a function");
        return NULL;
    }
    if (owner == NULL)
        owner = Py_None;
    PyObject *made = PyObject_CallOneArg(self->make, owner);
    if (made != NULL && PyObject_SetAttr(owner, self->name, made) < 0)
        Py_CLEAR(made);
    return made;
}

static int lazy_traverse(Lazy *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->make);
    Py_VISIT(self->name);
    Py_VISIT(self->doc);
    return 0;
}

static int lazy_clear(Lazy *self)
{
    Py_CLEAR(self->make);
    Py_CLEAR(self->name);
    Py_CLEAR(self->doc);
    return 0;
}

static void lazy_dealloc(Lazy *self)
{
    PyTypeObject *kind = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    lazy_clear(self);
    kind->tp_free((PyObject *)self);
    Py_DECREF(kind);
}

static PyMemberDef members[] = {
    {"make", T_OBJECT, offsetof(Lazy, make), READONLY, NULL},
    {"name", T_OBJECT, offsetof(Lazy, name), READONLY, NULL},
    {"__doc__", T_OBJECT, offsetof(Lazy, doc), 0, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, lazy_init},
    {Py_tp_descr_get, lazy_get},
    {Py_tp_traverse, lazy_traverse},
    {Py_tp_clear, lazy_clear},
    {Py_tp_dealloc, lazy_dealloc},
    {Py_tp_members, members},
    {0, NULL},
};

PyType_Spec lazy_spec = {
    .name = "sipcgi.compiled.native.lazy",
    .basicsize = sizeof(Lazy),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
