/* A datagram on its way to who receives messages, if all of it is plain (net/intake.py). */

#include "native.h"

/* Whether the top Via stays as it is (RFC 3261 18.1.2, 18.2.1); -1 for an exception. */
static int is_to_stay(State *state, PyObject *self, PyObject *message, PyObject *flow, int is_response)
{
    PyObject *via = PyObject_GetAttr(message, state->via);
    PyObject *said = via == NULL ? NULL : PyObject_GetAttr(via, is_response ? state->sent_by : state->host);
    PyObject *rule = said == NULL ? NULL : PyObject_GetAttr(is_response ? self : via, is_response ? state->sent_bys : state->bare);
    int stays = -1;
    if (rule != NULL && is_response)
        stays = PySequence_Contains(rule, said);
    else if (rule != NULL) {
        PyObject *remote = PyTuple_GET_ITEM(flow, 2);
        stays = rule == Py_True && PyTuple_Check(remote) && PyTuple_GET_SIZE(remote) > 0 &&
                same_text(said, PyTuple_GET_ITEM(remote, 0));
    }
    Py_XDECREF(via);
    Py_XDECREF(said);
    Py_XDECREF(rule);
    return stays;
}

/* Gives the message to `receive`; NULL for what that raises. */
static PyObject *given(State *state, PyObject *self, PyObject *message, PyObject *flow)
{
    PyObject *receive = PyObject_GetAttr(self, state->receive), *both[] = {NULL, message, flow};
    PyObject *done = receive == NULL ? NULL : PyObject_Vectorcall(receive, both + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(receive);
    return done;
}

/* `message` is NULL when it was not made. */
static PyObject *raised(State *state, PyObject *self, PyObject *message, PyObject *flow)
{
    PyObject *error = caught(PyExc_Exception), *done = NULL;
    if (error != NULL) {
        PyObject *all[] = {self, message == NULL ? Py_None : message, flow, error};
        done = PyObject_VectorcallMethod(state->raised, all, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        Py_DECREF(error);
    }
    return done;
}

static PyObject *arrivals_plain(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    int is_response;
    if (state == NULL || count != 2 || !PyTuple_Check(arguments[1]) || PyTuple_GET_SIZE(arguments[1]) < 3) {
        PyErr_SetString(PyExc_TypeError, "plain() takes a datagram and its flow");
        return NULL;
    }
    PyObject *flow = arguments[1], *kinds = PyObject_GetAttr(self, state->kinds), *done = NULL;
    PyObject *message = kinds == NULL ? NULL : plain_message(state, arguments[0], kinds, &is_response);
    Py_XDECREF(kinds);
    if (message == NULL && !PyErr_Occurred())
        Py_RETURN_FALSE;
    int stays = message == NULL ? -1 : is_to_stay(state, self, message, flow, is_response);
    if (stays == 0)
        done = method(state->message, self, message, flow); /* which does what is to be done, and catches what it has to */
    else if (stays < 0 || (done = given(state, self, message, flow)) == NULL)
        done = raised(state, self, message, flow);
    Py_XDECREF(message);
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    Py_RETURN_TRUE;
}

static PyMethodDef methods[] = {
    {"plain", (PyCFunction)(void (*)(void))arrivals_plain, METH_FASTCALL, "Takes a datagram with a plain message."},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec arrivals_spec = {
    .name = "sipcgi.compiled.native.Arrivals",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
