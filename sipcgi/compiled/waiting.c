/* Waiting for events, and handing each to its handler (engine/reactor.py, watch.py). */

#include "native.h"

#define SLICE 0.002 /* as in watch.py */
#define EVENTS 64   /* likewise */

typedef struct {
    PyObject_HEAD
    char readable, scheduled;
} Waiting;

static double seconds(PyObject *taken)
{
    double value = taken == NULL ? -1 : PyFloat_AsDouble(taken);
    Py_XDECREF(taken);
    return value;
}

/* What `poll` found when it is one: a descriptor and its events. */
static int is_one(PyObject *found)
{
    return PyList_CheckExact(found) && PyList_GET_SIZE(found) == 1 && PyTuple_CheckExact(PyList_GET_ITEM(found, 0)) &&
           PyTuple_GET_SIZE(PyList_GET_ITEM(found, 0)) == 2;
}

static PyObject *handling_handle(PyObject *self, PyObject *found)
{
    State *state = state_of(self);
    if (state == NULL || !is_one(found))
        return state == NULL ? NULL : PyObject_CallMethodOneArg(self, state->handle_several, found);
    PyObject *pair = Py_NewRef(PyList_GET_ITEM(found, 0)), *until = NULL, *done = NULL;
    PyObject *handlers = PyObject_GetAttr(self, state->_handlers);
    PyObject *handler = handlers == NULL ? NULL : PyObject_GetItem(handlers, PyTuple_GET_ITEM(pair, 0));
    double now = handler == NULL ? -1 : seconds(PyObject_CallNoArgs(state->perf_counter));
    if (!PyErr_Occurred() && (until = PyFloat_FromDouble(now + SLICE)) != NULL) {
        PyObject *given[] = {NULL, PyTuple_GET_ITEM(pair, 1), until};
        done = PyObject_Vectorcall(handler, given + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_DECREF(pair);
    Py_XDECREF(handlers);
    Py_XDECREF(handler);
    Py_XDECREF(until);
    Py_XDECREF(done);
    return done == NULL ? NULL : Py_NewRef(Py_None);
}

static PyObject *waiting_attend(Waiting *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of((PyObject *)self);
    double end = state != NULL && count == 3 ? PyFloat_AsDouble(arguments[2]) : -1;
    if (count != 3)
        PyErr_SetString(PyExc_TypeError, "attend() takes a queue of timers, a watch and a time");
    if (PyErr_Occurred())
        return NULL;
    PyObject *timers = arguments[0], *watch = arguments[1], *clock = PyObject_GetAttr(timers, state->now), *most = NULL, *poll = NULL;
    PyObject *due = NULL; /* for which the loop ends */
    if (clock != NULL && (poll = PyObject_GetAttr(watch, state->poll)) != NULL)
        most = PyLong_FromLong(EVENTS);
    while (most != NULL && due == NULL) {
        due = PyObject_CallMethodNoArgs(timers, state->next_deadline);
        double deadline = due == NULL || due == Py_None ? end : PyFloat_AsDouble(due);
        if (due == NULL || PyErr_Occurred())
            break;
        if (due == Py_None || deadline > end) {
            deadline = end;
            Py_SETREF(due, Py_NewRef(arguments[2]));
        }
        double patience = deadline - seconds(PyObject_CallNoArgs(clock));
        if (PyErr_Occurred() || patience <= 0)
            break;
        Py_CLEAR(due);
        PyObject *wait = PyFloat_FromDouble(patience), *given[] = {NULL, wait, most};
        PyObject *found = wait == NULL ? NULL : PyObject_Vectorcall(poll, given + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        Py_XDECREF(wait);
        int some = found == NULL ? -1 : PyObject_IsTrue(found);
        PyObject *done = some > 0 ? method(state->handle, watch, found, NULL) : some == 0 ? Py_NewRef(Py_None) : NULL;
        Py_XDECREF(found);
        Py_XDECREF(done);
        if (done == NULL)
            break;
        if (self->readable || self->scheduled)
            due = Py_NewRef(Py_None);
    }
    Py_XDECREF(clock);
    Py_XDECREF(poll);
    Py_XDECREF(most);
    if (PyErr_Occurred())
        Py_CLEAR(due);
    return due;
}

static PyMethodDef waiting_methods[] = {
    {"attend", (PyCFunction)(void (*)(void))waiting_attend, METH_FASTCALL, "Handles what comes until something is due."},
    {NULL},
};

static PyMemberDef waiting_members[] = {
    {"readable", T_BOOL, offsetof(Waiting, readable), 0, NULL},
    {"scheduled", T_BOOL, offsetof(Waiting, scheduled), 0, NULL},
    {NULL},
};

static PyType_Slot waiting_slots[] = {
    {Py_tp_methods, waiting_methods},
    {Py_tp_members, waiting_members},
    {0, NULL},
};

PyType_Spec waiting_spec = {
    .name = "sipcgi.compiled.native.Waiting",
    .basicsize = sizeof(Waiting),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = waiting_slots,
};

static PyMethodDef handling_methods[] = {
    {"handle", handling_handle, METH_O, "Of what `poll` found, as much as fits into a moment."},
    {NULL},
};

static PyType_Slot handling_slots[] = {
    {Py_tp_methods, handling_methods},
    {0, NULL},
};

PyType_Spec handling_spec = {
    .name = "sipcgi.compiled.native.Handling",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = handling_slots,
};
