/* Walking the tables of transactions: an arrow at a time, and the timers that it starts (engine/steps.py). */

#include "native.h"

typedef struct {
    PyObject_HEAD
    PyObject *timers, *arguments; /* the input that the timer fires */
    double delay;
    int resends;
} Starter;

int stop(PyObject **timer)
{
    if (*timer == NULL || *timer == Py_None)
        return 1;
    if (!cancel_timer(*timer))
        return 0;
    Py_CLEAR(*timer);
    return 1;
}

static int start(Starter *self, Walker *walker)
{
    if (self->resends)
        walker->interval = self->delay;
    else if (walker->timeout != NULL && walker->timeout != Py_None && !cancel_timer(walker->timeout))
        return 0;
    State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *timer = start_timer(state, self->timers, self->delay, (PyObject *)walker, self->arguments);
    if (timer == NULL)
        return 0;
    Py_XSETREF(*(self->resends ? &walker->resend : &walker->timeout), timer);
    return 1;
}

static PyObject *starter_call(Starter *self, PyObject *arguments, PyObject *keywords)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    if (PyTuple_GET_SIZE(arguments) != 2 || keywords != NULL ||
        !PyObject_TypeCheck(PyTuple_GET_ITEM(arguments, 0), state->walker)) {
        PyErr_SetString(PyExc_TypeError, "it takes who walks, and a message");
        return NULL;
    }
    if (!start(self, (Walker *)PyTuple_GET_ITEM(arguments, 0)))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *starter(PyObject *module, PyObject *const *arguments, Py_ssize_t count, int resends)
{
    State *state = PyModule_GetState(module);
    if (count != 3 || !PyObject_TypeCheck(arguments[0], state->deadlines)) {
        PyErr_SetString(PyExc_TypeError, "a starter takes a queue of timers, a delay and an input");
        return NULL;
    }
    double delay = PyFloat_AsDouble(arguments[1]);
    if (delay == -1 && PyErr_Occurred())
        return NULL;
    PyObject *fires = PyTuple_Pack(1, arguments[2]);
    Starter *made = fires == NULL ? NULL : (Starter *)state->starter->tp_alloc(state->starter, 0);
    if (made == NULL) {
        Py_XDECREF(fires);
        return NULL;
    }
    made->timers = Py_NewRef(arguments[0]);
    made->arguments = fires;
    made->delay = delay;
    made->resends = resends;
    return (PyObject *)made;
}

PyObject *native_resend_starter(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    return starter(module, arguments, count, 1);
}

PyObject *native_timeout_starter(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    return starter(module, arguments, count, 0);
}

static int starter_traverse(Starter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->timers);
    Py_VISIT(self->arguments);
    return 0;
}

static int starter_clear(Starter *self)
{
    Py_CLEAR(self->timers);
    Py_CLEAR(self->arguments);
    return 0;
}

static void starter_dealloc(Starter *self)
{
    PyTypeObject *kind = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, starter_dealloc)
    starter_clear(self);
    kind->tp_free((PyObject *)self);
    Py_DECREF(kind);
    Py_TRASHCAN_END
}

static PyType_Slot starter_slots[] = {
    {Py_tp_call, starter_call},
    {Py_tp_traverse, starter_traverse},
    {Py_tp_clear, starter_clear},
    {Py_tp_dealloc, starter_dealloc},
    {0, NULL},
};

PyType_Spec starter_spec = {
    .name = "sipcgi.compiled.native.Starter",
    .basicsize = sizeof(Starter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = starter_slots,
};

/* The caller holds the arrow: what an effect does may step the same transaction. */
static PyObject *take(Walker *self, PyObject *arrow, PyObject *message)
{
    if (!PyTuple_Check(arrow) || PyTuple_GET_SIZE(arrow) != 3 || !PyDict_Check(PyTuple_GET_ITEM(arrow, 1)) ||
        !PyTuple_Check(PyTuple_GET_ITEM(arrow, 2))) {
        PyErr_SetString(PyExc_TypeError, "an arrow is a state, a dictionary of arrows, a tuple of performers");
        return NULL;
    }
    Py_XSETREF(self->state, Py_NewRef(PyTuple_GET_ITEM(arrow, 0)));
    Py_XSETREF(self->row, Py_NewRef(PyTuple_GET_ITEM(arrow, 1)));
    PyObject *performers = PyTuple_GET_ITEM(arrow, 2), *done = Py_NewRef(Py_None);
    for (Py_ssize_t at = 0; done != NULL && at < PyTuple_GET_SIZE(performers); at++) {
        PyObject *perform = PyTuple_GET_ITEM(performers, at), *given[] = {NULL, (PyObject *)self, message};
        Py_DECREF(done);
        if (Py_TYPE(perform)->tp_call == (ternaryfunc)starter_call)
            done = start((Starter *)perform, self) ? Py_NewRef(Py_None) : NULL;
        else
            done = PyObject_Vectorcall(perform, given + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    Py_RETURN_NONE;
}

PyObject *begin(Walker *self, PyObject *arrow)
{
    Py_CLEAR(self->resend);
    Py_CLEAR(self->timeout);
    return take(self, arrow, Py_None);
}

PyObject *step(Walker *self, PyObject *input, PyObject *message)
{
    if (self->row == NULL) {
        PyErr_SetString(PyExc_AttributeError, "step() before begin()");
        return NULL;
    }
    PyObject *row = Py_NewRef(self->row), *done = NULL; /* an input that compares itself may step, too */
    PyObject *arrow = Py_XNewRef(PyDict_GetItemWithError(row, input));
    Py_DECREF(row);
    if (arrow != NULL)
        done = take(self, arrow, message);
    else if (!PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, input);
    Py_XDECREF(arrow);
    return done;
}

static PyObject *walker_step(Walker *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "step() takes an input, and the message that came with it");
        return NULL;
    }
    return step(self, arguments[0], count == 2 ? arguments[1] : Py_None);
}

static PyObject *walker_call(Walker *self, PyObject *arguments, PyObject *keywords)
{
    return walker_step(self, &PyTuple_GET_ITEM(arguments, 0), keywords != NULL ? 0 : PyTuple_GET_SIZE(arguments));
}

static PyObject *walker_stop_resend(Walker *self, PyObject *Py_UNUSED(message))
{
    if (!stop(&self->resend))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *walker_stop_timeout(Walker *self, PyObject *Py_UNUSED(message))
{
    if (!stop(&self->timeout))
        return NULL;
    Py_RETURN_NONE;
}

int walker_traverse(Walker *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->state);
    Py_VISIT(self->row);
    Py_VISIT(self->resend);
    Py_VISIT(self->timeout);
    return 0;
}

int walker_clear(Walker *self)
{
    Py_CLEAR(self->state);
    Py_CLEAR(self->row);
    Py_CLEAR(self->resend);
    Py_CLEAR(self->timeout);
    return 0;
}

static void walker_dealloc(Walker *self)
{
    PyTypeObject *kind = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, walker_dealloc) /* a long chain of them must not overflow the stack */
    walker_clear(self);
    kind->tp_free((PyObject *)self);
    Py_DECREF(kind);
    Py_TRASHCAN_END
}

static PyMethodDef walker_methods[] = {
    {"begin", (PyCFunction)begin, METH_O, "The arrow into the first state."},
    {"step", (PyCFunction)(void (*)(void))walker_step, METH_FASTCALL, "One arrow: of an input, with its message."},
    {"stop_resend", (PyCFunction)walker_stop_resend, METH_O, "Stops the timer of retransmissions."},
    {"stop_timeout", (PyCFunction)walker_stop_timeout, METH_O, "Stops the other timer."},
    {NULL},
};

static PyMemberDef walker_members[] = {
    {"state", T_OBJECT_EX, offsetof(Walker, state), READONLY, NULL},
    {"row", T_OBJECT_EX, offsetof(Walker, row), READONLY, NULL},
    {"resend", T_OBJECT, offsetof(Walker, resend), 0, NULL},
    {"timeout", T_OBJECT, offsetof(Walker, timeout), 0, NULL},
    {"interval", T_DOUBLE, offsetof(Walker, interval), 0, NULL},
    {NULL},
};

static PyType_Slot walker_slots[] = {
    {Py_tp_call, walker_call},
    {Py_tp_traverse, walker_traverse},
    {Py_tp_clear, walker_clear},
    {Py_tp_dealloc, walker_dealloc},
    {Py_tp_methods, walker_methods},
    {Py_tp_members, walker_members},
    {0, NULL},
};

PyType_Spec walker_spec = {
    .name = "sipcgi.compiled.native.Walker",
    .basicsize = sizeof(Walker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = walker_slots,
};
