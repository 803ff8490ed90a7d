/* Timers that share deadlines: starting, cancelling and calling them (timerqueue.py). */

#include "native.h"
#include <math.h>

typedef struct {
    PyObject_HEAD
    double deadline;
    PyObject *callback, *arguments, *place;
} Timer;

static int cancel(Timer *self)
{
    if (self->callback == Py_None || self->callback == NULL)
        return 1;
    PyObject *empty = PyTuple_New(0);
    if (empty == NULL)
        return 0;
    Py_INCREF(self); /* what is compared or let go of may run anything */
    PyObject *callback = self->callback, *arguments = self->arguments;
    self->callback = Py_NewRef(Py_None);
    self->arguments = empty; /* one that is due waits for its turn, and must hold nothing meanwhile */
    int found = self->place == NULL || !PyDict_Check(self->place) ? 0 : PyDict_Contains(self->place, (PyObject *)self);
    if (found > 0)
        found = PyDict_DelItem(self->place, (PyObject *)self);
    Py_DECREF(callback);
    Py_XDECREF(arguments);
    Py_DECREF(self);
    return found >= 0;
}

static PyObject *timer_cancel(Timer *self, PyObject *Py_UNUSED(nothing))
{
    if (!cancel(self))
        return NULL;
    Py_RETURN_NONE;
}

static int timer_traverse(Timer *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->callback);
    Py_VISIT(self->arguments);
    Py_VISIT(self->place);
    return 0;
}

static int timer_clear(Timer *self)
{
    Py_CLEAR(self->callback);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->place);
    return 0;
}

static void timer_dealloc(Timer *self)
{
    PyTypeObject *kind = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, timer_dealloc) /* a long chain of them must not overflow the stack */
    timer_clear(self);
    kind->tp_free((PyObject *)self);
    Py_DECREF(kind);
    Py_TRASHCAN_END
}

static PyMethodDef timer_methods[] = {
    {"cancel", (PyCFunction)timer_cancel, METH_NOARGS, "May be called at any time, also after it fired."},
    {NULL},
};

static PyMemberDef timer_members[] = {
    {"deadline", T_DOUBLE, offsetof(Timer, deadline), 0, NULL},
    {"callback", T_OBJECT, offsetof(Timer, callback), 0, NULL},
    {"arguments", T_OBJECT_EX, offsetof(Timer, arguments), 0, NULL},
    {"place", T_OBJECT_EX, offsetof(Timer, place), READONLY, NULL},
    {NULL},
};

static PyType_Slot timer_slots[] = {
    {Py_tp_traverse, timer_traverse},
    {Py_tp_clear, timer_clear},
    {Py_tp_dealloc, timer_dealloc},
    {Py_tp_methods, timer_methods},
    {Py_tp_members, timer_members},
    {0, NULL},
};

PyType_Spec timer_spec = {
    .name = "sipcgi.compiled.native.Timer",
    .basicsize = sizeof(Timer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = timer_slots,
};

typedef struct {
    PyObject_HEAD
    PyObject *now, *wake, *heap, *timers, *due; /* the last three are set once; draw() alone replaces `due` */
    double grain;
} Deadlines;

/* `now` or `wake`, which may replace itself meanwhile. */
static PyObject *ask(PyObject *function)
{
    if (function == NULL) {
        PyErr_SetString(PyExc_TypeError, "used before __init__");
        return NULL;
    }
    Py_INCREF(function);
    PyObject *said = PyObject_CallNoArgs(function);
    Py_DECREF(function);
    return said;
}

/* `a // b` of Python, to the last bit: deadlines must be the same on both ways. */
static double floor_division(double a, double b)
{
    double remainder = fmod(a, b), quotient = (a - remainder) / b;
    if (remainder != 0 && (b < 0) != (remainder < 0))
        quotient -= 1;
    if (quotient == 0)
        return copysign(0, a / b);
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

static int is_whole(Deadlines *self)
{
    if (self->heap != NULL && self->timers != NULL && self->due != NULL)
        return 1;
    PyErr_SetString(PyExc_TypeError, "used before __init__");
    return 0;
}

/* All timers of that deadline; a new reference. `is_new` when it is not in `timers` and the heap yet. */
static PyObject *place_of(Deadlines *self, PyObject *deadline, int *is_new)
{
    PyObject *place = PyDict_GetItemWithError(self->timers, deadline);
    *is_new = place == NULL;
    if (place != NULL)
        return Py_NewRef(place);
    return PyErr_Occurred() ? NULL : PyDict_New();
}

/* A new deadline into the heap; the driver is told when it is the first. */
static int push(Deadlines *self, State *state, PyObject *deadline)
{
    PyObject *done = PyObject_CallFunctionObjArgs(state->heappush, self->heap, deadline, NULL);
    if (done == NULL)
        return 0;
    Py_DECREF(done);
    if (PyList_GET_SIZE(self->heap) > 0 && PyList_GET_ITEM(self->heap, 0) == deadline) {
        done = ask(self->wake);
        Py_XDECREF(done);
    }
    return done != NULL;
}

/* `arguments` is a tuple. */
PyObject *start_timer(State *state, PyObject *deadlines, double delay, PyObject *callback, PyObject *arguments)
{
    Deadlines *self = (Deadlines *)deadlines;
    PyObject *now = is_whole(self) ? ask(self->now) : NULL;
    if (now == NULL)
        return NULL;
    double due = PyFloat_AsDouble(now);
    Py_DECREF(now);
    if (due == -1 && PyErr_Occurred())
        return NULL;
    due += delay;
    double grain = delay < 1 ? self->grain * 0.25 : self->grain;
    if (grain != 0)
        due = -floor_division(-due, grain) * grain;

    Timer *timer = NULL;
    int is_new = 0;
    PyObject *deadline = PyFloat_FromDouble(due);
    PyObject *place = deadline == NULL ? NULL : place_of(self, deadline, &is_new);
    timer = place == NULL ? NULL : (Timer *)state->timer->tp_alloc(state->timer, 0);
    if (timer != NULL) {
        timer->deadline = due;
        timer->callback = Py_NewRef(callback);
        timer->arguments = Py_NewRef(arguments);
        timer->place = Py_NewRef(place);
        if (!PyDict_Check(place) || PyDict_SetItem(place, (PyObject *)timer, Py_None) < 0 ||
            (is_new && (PyDict_SetItem(self->timers, deadline, place) < 0 || !push(self, state, deadline))))
            Py_CLEAR(timer);
    }
    Py_XDECREF(deadline);
    Py_XDECREF(place);
    return (PyObject *)timer;
}

int cancel_timer(PyObject *timer)
{
    if (Py_TYPE(timer)->tp_dealloc == (destructor)timer_dealloc)
        return cancel((Timer *)timer);
    PyErr_SetString(PyExc_TypeError, "this is no timer");
    return 0;
}

static PyObject *deadlines_start(Deadlines *self, PyTypeObject *defining, PyObject *const *arguments, Py_ssize_t count,
                                 PyObject *keywords)
{
    State *state = PyType_GetModuleState(defining);
    if (state == NULL)
        return NULL;
    if (count < 2 || (keywords != NULL && PyTuple_GET_SIZE(keywords) > 0)) {
        PyErr_SetString(PyExc_TypeError, "start() takes a delay, a callback and its arguments");
        return NULL;
    }
    double delay = PyFloat_AsDouble(arguments[0]);
    if (delay == -1 && PyErr_Occurred())
        return NULL;
    PyObject *rest = PyTuple_New(count - 2);
    if (rest == NULL)
        return NULL;
    for (Py_ssize_t at = 2; at < count; at++)
        PyTuple_SET_ITEM(rest, at - 2, Py_NewRef(arguments[at]));
    PyObject *timer = start_timer(state, (PyObject *)self, delay, arguments[1], rest);
    Py_DECREF(rest);
    return timer;
}

/* The last one of those that are due, borrowed; NULL when there is none. */
static Timer *last_due(Deadlines *self)
{
    Py_ssize_t count = PyList_GET_SIZE(self->due);
    PyObject *last = count == 0 ? NULL : PyList_GET_ITEM(self->due, count - 1);
    return last == NULL || Py_TYPE(last)->tp_dealloc != (destructor)timer_dealloc ? NULL : (Timer *)last;
}

static int pop_due(Deadlines *self)
{
    Py_ssize_t count = PyList_GET_SIZE(self->due);
    return PyList_SetSlice(self->due, count - 1, count, NULL) == 0;
}

/* The timers of the first deadline are out of the heap; a new reference. */
static PyObject *pop(Deadlines *self, State *state)
{
    PyObject *first = PyObject_CallOneArg(state->heappop, self->heap);
    PyObject *place = first == NULL ? NULL : Py_XNewRef(PyDict_GetItemWithError(self->timers, first));
    if (place != NULL && PyDict_DelItem(self->timers, first) < 0)
        Py_CLEAR(place);
    else if (first != NULL && place == NULL && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, first);
    Py_XDECREF(first);
    return place;
}

/* A new reference; NULL without an exception when there is none. */
static PyObject *next_deadline(Deadlines *self, State *state)
{
    Timer *timer;
    if (!is_whole(self))
        return NULL;
    while ((timer = last_due(self)) != NULL && (timer->callback == NULL || timer->callback == Py_None))
        if (!pop_due(self))
            return NULL;
    if (timer != NULL)
        return PyFloat_FromDouble(timer->deadline);
    while (PyList_GET_SIZE(self->heap) > 0) {
        PyObject *first = Py_NewRef(PyList_GET_ITEM(self->heap, 0)), *place = PyDict_GetItemWithError(self->timers, first);
        if (place == NULL && PyErr_Occurred())
            Py_CLEAR(first);
        if (place == NULL || !PyDict_Check(place) || PyDict_GET_SIZE(place) > 0)
            return first;
        Py_DECREF(first);
        place = pop(self, state);
        if (place == NULL)
            return NULL;
        Py_DECREF(place);
    }
    return NULL;
}

static PyObject *deadlines_next(Deadlines *self, PyTypeObject *defining, PyObject *const *Py_UNUSED(arguments),
                                Py_ssize_t count, PyObject *keywords)
{
    if (count != 0 || keywords != NULL) {
        PyErr_SetString(PyExc_TypeError, "next_deadline() takes nothing");
        return NULL;
    }
    return or_none(next_deadline(self, PyType_GetModuleState(defining)));
}

/* The timers of the first deadline become those that are due. */
static int draw(Deadlines *self, State *state)
{
    PyObject *place = pop(self, state), *due = place == NULL ? NULL : PySequence_List(place);
    int done = due != NULL && PyList_Reverse(due) == 0;
    if (done) {
        Py_SETREF(self->due, Py_NewRef(due));
        if (PyDict_Check(place))
            PyDict_Clear(place);
    }
    Py_XDECREF(place);
    Py_XDECREF(due);
    return done;
}

/* Calls the last one of those that are due, once. */
static int call(Deadlines *self, State *state)
{
    Timer *timer = last_due(self);
    if (timer == NULL || timer->callback == NULL || timer->arguments == NULL || !PyTuple_Check(timer->arguments)) {
        PyErr_SetString(PyExc_TypeError, "what is due is no timer");
        return 0;
    }
    PyObject *callback = timer->callback, *arguments = timer->arguments;
    timer->callback = Py_NewRef(Py_None);
    timer->arguments = Py_NewRef(state->empty);
    PyObject *done = pop_due(self) ? PyObject_Call(callback, arguments, NULL) : NULL;
    Py_DECREF(callback);
    Py_DECREF(arguments);
    Py_XDECREF(done);
    return done != NULL;
}

static PyObject *deadlines_fire(Deadlines *self, PyTypeObject *defining, PyObject *const *arguments, Py_ssize_t count,
                                PyObject *keywords)
{
    State *state = PyType_GetModuleState(defining);
    if (count > 1 || keywords != NULL) {
        PyErr_SetString(PyExc_TypeError, "fire() takes how many at most");
        return NULL;
    }
    long most = count == 0 ? 50 : PyLong_AsLong(arguments[0]), fired = 0;
    PyObject *time = most == -1 && PyErr_Occurred() ? NULL : ask(self->now);
    if (time == NULL)
        return NULL;
    double now = PyFloat_AsDouble(time);
    Py_DECREF(time);
    while (!PyErr_Occurred() && fired < most) {
        PyObject *deadline = next_deadline(self, state);
        if (deadline == NULL)
            break;
        double due = PyFloat_AsDouble(deadline);
        Py_DECREF(deadline);
        if (PyErr_Occurred() || due > now || (PyList_GET_SIZE(self->due) == 0 && !draw(self, state)))
            break;
        fired++;
        if (!call(self, state))
            break;
    }
    return PyErr_Occurred() ? NULL : PyLong_FromLong(fired);
}

static int deadlines_traverse(Deadlines *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->now);
    Py_VISIT(self->wake);
    Py_VISIT(self->heap);
    Py_VISIT(self->timers);
    Py_VISIT(self->due);
    return 0;
}

static int deadlines_clear(Deadlines *self)
{
    Py_CLEAR(self->now);
    Py_CLEAR(self->wake);
    Py_CLEAR(self->heap);
    Py_CLEAR(self->timers);
    Py_CLEAR(self->due);
    return 0;
}

static void deadlines_dealloc(Deadlines *self)
{
    PyTypeObject *kind = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, deadlines_dealloc)
    deadlines_clear(self);
    kind->tp_free((PyObject *)self);
    Py_DECREF(kind);
    Py_TRASHCAN_END
}

static PyMethodDef deadlines_methods[] = {
    {"start", (PyCFunction)(void (*)(void))deadlines_start, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "Calls `callback(*arguments)` in `delay` seconds."},
    {"next_deadline", (PyCFunction)(void (*)(void))deadlines_next, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "When the next timer is due; None when there is none."},
    {"fire", (PyCFunction)(void (*)(void))deadlines_fire, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "Calls what is due, some of it, and returns how many were."},
    {NULL},
};

static PyMemberDef deadlines_members[] = {
    {"now", T_OBJECT_EX, offsetof(Deadlines, now), 0, NULL},
    {"wake", T_OBJECT_EX, offsetof(Deadlines, wake), 0, NULL},
    {"grain", T_DOUBLE, offsetof(Deadlines, grain), 0, NULL},
    {NULL},
};

static PyObject *deadlines_get(Deadlines *self, void *offset)
{
    PyObject *held = *(PyObject **)((char *)self + (size_t)offset);
    if (held == NULL)
        PyErr_SetString(PyExc_AttributeError, "used before __init__");
    return Py_XNewRef(held);
}

static int deadlines_set(Deadlines *self, PyObject *value, void *offset)
{
    PyObject **held = (PyObject **)((char *)self + (size_t)offset);
    PyTypeObject *kind = held == &self->timers ? &PyDict_Type : &PyList_Type;
    if (*held != NULL || value == NULL || !Py_IS_TYPE(value, kind)) {
        PyErr_Format(PyExc_TypeError, "a %s is set, once", kind->tp_name);
        return -1;
    }
    *held = Py_NewRef(value);
    return 0;
}

#define SET_ONCE(name, field) \
    {name, (getter)deadlines_get, (setter)deadlines_set, NULL, (void *)offsetof(Deadlines, field)}

static PyGetSetDef deadlines_getset[] = {
    SET_ONCE("_heap", heap),
    SET_ONCE("_timers", timers),
    SET_ONCE("_due", due),
    {NULL},
};

static PyType_Slot deadlines_slots[] = {
    {Py_tp_traverse, deadlines_traverse},
    {Py_tp_clear, deadlines_clear},
    {Py_tp_dealloc, deadlines_dealloc},
    {Py_tp_methods, deadlines_methods},
    {Py_tp_members, deadlines_members},
    {Py_tp_getset, deadlines_getset},
    {0, NULL},
};

PyType_Spec deadlines_spec = {
    .name = "sipcgi.compiled.native.Deadlines",
    .basicsize = sizeof(Deadlines),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = deadlines_slots,
};
