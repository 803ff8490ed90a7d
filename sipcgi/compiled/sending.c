/* Sending by the endpoint of a flow, and a datagram (net/transport.py, net/udp.py); calling out of C. */

#include "native.h"

/* The exception that is set, if it is of that kind: it is no longer set. Else NULL. */
PyObject *caught(PyObject *kind)
{
    PyObject *type, *error, *trace;
    if (!PyErr_ExceptionMatches(kind))
        return NULL;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        PyException_SetTraceback(error, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return error;
}

/* Calls a method with one argument or two. */
PyObject *method(PyObject *name, PyObject *object, PyObject *one, PyObject *other)
{
    PyObject *given[] = {object, one, other};
    return PyObject_VectorcallMethod(name, given, (other == NULL ? 2 : 3) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

static int are_octets_and_flow(PyObject *const *arguments, Py_ssize_t count)
{
    if (count == 2 && PyTuple_Check(arguments[1]) && PyTuple_GET_SIZE(arguments[1]) > 2)
        return 1;
    PyErr_SetString(PyExc_TypeError, "send() takes octets and a flow");
    return 0;
}

static PyObject *sender_send(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    if (state == NULL || !are_octets_and_flow(arguments, count))
        return NULL;
    PyObject *endpoints = PyObject_GetAttr(self, state->_endpoints), *done = NULL;
    PyObject *key = endpoints == NULL ? NULL : PyTuple_GetSlice(arguments[1], 0, 2);
    PyObject *endpoint = key == NULL ? NULL : PyObject_GetItem(endpoints, key);
    if (endpoint != NULL)
        done = method(state->send, endpoint, arguments[0], arguments[1]);
    Py_XDECREF(endpoints);
    Py_XDECREF(key);
    Py_XDECREF(endpoint);
    return done;
}

static PyObject *datagrams_send(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    if (state == NULL || !are_octets_and_flow(arguments, count))
        return NULL;
    PyObject *socket = PyObject_GetAttr(self, state->socket), *error;
    PyObject *done = socket == NULL ? NULL : method(state->sendto, socket, arguments[0], PyTuple_GET_ITEM(arguments[1], 2));
    Py_XDECREF(socket);
    if (done == NULL && (error = caught(PyExc_OSError)) != NULL) {
        PyObject *given[] = {self, error, arguments[0], arguments[1]};
        done = PyObject_VectorcallMethod(state->not_sent, given, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        Py_DECREF(error);
    }
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    Py_RETURN_NONE;
}

static PyMethodDef sender_methods[] = {
    {"send", (PyCFunction)(void (*)(void))sender_send, METH_FASTCALL, "Never waits."},
    {NULL},
};

static PyMethodDef datagrams_methods[] = {
    {"send", (PyCFunction)(void (*)(void))datagrams_send, METH_FASTCALL, "Never waits."},
    {NULL},
};

static PyType_Slot sender_slots[] = {
    {Py_tp_methods, sender_methods},
    {0, NULL},
};

static PyType_Slot datagrams_slots[] = {
    {Py_tp_methods, datagrams_methods},
    {0, NULL},
};

PyType_Spec sender_spec = {
    .name = "sipcgi.compiled.native.Sender",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = sender_slots,
};

PyType_Spec datagrams_spec = {
    .name = "sipcgi.compiled.native.Datagrams",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = datagrams_slots,
};
