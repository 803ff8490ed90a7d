/* Sending by the endpoint of a flow; a datagram to its socket and from it (net/transport.py, net/udp.py); calling out of C. */

#include "native.h"
#include <sys/epoll.h>

#define MAX_DATAGRAM (64 * 1024) /* as in sip/grammar.py */

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

/* The endpoint of a flow, which is a tuple. */
static PyObject *endpoint_of(State *state, PyObject *self, PyObject *flow)
{
    PyObject *endpoints = PyObject_GetAttr(self, state->_endpoints);
    PyObject *key = endpoints == NULL ? NULL : PyTuple_GetSlice(flow, 0, 2);
    PyObject *endpoint = key == NULL ? NULL : PyObject_GetItem(endpoints, key);
    Py_XDECREF(endpoints);
    Py_XDECREF(key);
    return endpoint;
}

static PyObject *sender_send(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    if (state == NULL || !are_octets_and_flow(arguments, count))
        return NULL;
    PyObject *endpoint = endpoint_of(state, self, arguments[1]), *done = NULL;
    if (endpoint != NULL)
        done = method(state->send, endpoint, arguments[0], arguments[1]);
    Py_XDECREF(endpoint);
    return done;
}

static PyObject *sender_sent_by(PyObject *self, PyObject *flow)
{
    State *state = state_of(self);
    if (state == NULL || !PyTuple_Check(flow) || PyTuple_GET_SIZE(flow) < 2) {
        PyErr_SetString(PyExc_TypeError, "sent_by() takes a flow");
        return NULL;
    }
    PyObject *endpoint = endpoint_of(state, self, flow), *said = NULL;
    if (endpoint != NULL)
        said = PyObject_GetAttr(endpoint, state->sent_by);
    else if (PyErr_ExceptionMatches(state->unreachable)) {
        PyErr_Clear();
        said = PyObject_Str(PyTuple_GET_ITEM(flow, 1));
    }
    Py_XDECREF(endpoint);
    return said;
}

/* The way by UDP to where something went before, else what new_flow() makes of it. */
static PyObject *sender_flow_to(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    State *state = state_of(self);
    PyObject *given[] = {self, NULL, NULL, NULL, NULL}, *way = NULL;
    if (state == NULL || count < 2 || count + (names == NULL ? 0 : PyTuple_GET_SIZE(names)) > 4) {
        PyErr_SetString(PyExc_TypeError, "flow_to() takes a transport, an address, a name and a sent-by");
        return NULL;
    }
    if (same_text(arguments[0], state->transport_word[0])) {
        PyObject *ways = PyObject_GetAttr(self, state->_ways);
        if (ways != NULL && PyDict_Check(ways))
            way = Py_XNewRef(PyDict_GetItemWithError(ways, arguments[1]));
        Py_XDECREF(ways);
        if (way != NULL || PyErr_Occurred())
            return way;
    }
    memcpy(given + 1, arguments, (size_t)(count + (names == NULL ? 0 : PyTuple_GET_SIZE(names))) * sizeof(*arguments));
    return PyObject_VectorcallMethod(state->new_flow, given, (size_t)count + 1, names);
}

/* Whether the top Via says nothing of the way back but the port from which it came by UDP; -1 for an exception. */
static int is_way_back(State *state, PyObject *via, PyObject *flow)
{
    PyObject *bare = PyObject_GetAttr(via, state->bare), *port = bare == NULL ? NULL : PyObject_GetAttr(via, state->port);
    PyObject *remote = PyTuple_GET_ITEM(flow, 2);
    int is_back = port == NULL ? -1 : 0;
    if (port != NULL && bare == Py_True && same_text(PyTuple_GET_ITEM(flow, 0), state->transport_word[0]) &&
        PyTuple_Check(remote) && PyTuple_GET_SIZE(remote) > 1 && PyLong_Check(PyTuple_GET_ITEM(remote, 1))) {
        long said = port == Py_None ? 5060 : PyLong_AsLong(port), from = PyLong_AsLong(PyTuple_GET_ITEM(remote, 1));
        is_back = PyErr_Occurred() ? -1 : (said == 0 ? 5060 : said) == from;
    }
    Py_XDECREF(bare);
    Py_XDECREF(port);
    return is_back;
}

static PyObject *sender_response_flow(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    if (state == NULL || count != 2 || !PyTuple_Check(arguments[1]) || PyTuple_GET_SIZE(arguments[1]) < 3) {
        PyErr_SetString(PyExc_TypeError, "response_flow() takes a message and a flow");
        return NULL;
    }
    PyObject *via = PyObject_GetAttr(arguments[0], state->via);
    int is_back = via == NULL ? -1 : is_way_back(state, via, arguments[1]);
    Py_XDECREF(via);
    if (is_back < 0)
        return NULL;
    return is_back ? Py_NewRef(arguments[1]) : method(state->other_flow, self, arguments[0], arguments[1]);
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

static PyObject *datagrams_received(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    if (state == NULL || count != 2) {
        PyErr_SetString(PyExc_TypeError, "received() takes octets and an address");
        return NULL;
    }
    PyObject *flows = PyObject_GetAttr(self, state->flows), *intake = NULL, *taken = NULL;
    PyObject *flow = flows == NULL ? NULL : PyObject_GetItem(flows, arguments[1]);
    if (flow != NULL && (intake = PyObject_GetAttr(self, state->intake)) != NULL)
        taken = method(state->plain, intake, arguments[0], flow);
    if (taken == Py_False)
        Py_SETREF(taken, method(state->unusual, self, arguments[0], arguments[1]));
    Py_XDECREF(flows);
    Py_XDECREF(flow);
    Py_XDECREF(intake);
    Py_XDECREF(taken);
    return taken == NULL ? NULL : Py_NewRef(Py_None);
}

/* What `recvfrom` gives; NULL without an exception when that was an error of the system. */
static PyObject *came(State *state, PyObject *self)
{
    PyObject *socket = PyObject_GetAttr(self, state->socket), *most = socket == NULL ? NULL : PyLong_FromLong(MAX_DATAGRAM);
    PyObject *both = most == NULL ? NULL : method(state->recvfrom, socket, most, NULL), *error;
    Py_XDECREF(socket);
    Py_XDECREF(most);
    if (both == NULL && (error = caught(PyExc_OSError)) != NULL) {
        PyObject *done = method(state->not_received, self, error, NULL);
        Py_XDECREF(done);
        Py_DECREF(error);
    } else if (both != NULL && (!PyTuple_Check(both) || PyTuple_GET_SIZE(both) != 2)) {
        PyErr_SetString(PyExc_TypeError, "recvfrom() gives octets and an address");
        Py_CLEAR(both);
    }
    return both;
}

static PyObject *datagrams_ready(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    long events = state != NULL && count == 2 ? PyLong_AsLong(arguments[0]) : -1;
    PyObject *done = NULL;
    if (events == -1) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "ready() takes events and a time");
        return NULL;
    }
    if (events != EPOLLIN) {
        if ((done = PyObject_CallMethodNoArgs(self, state->take_errors)) == NULL)
            return NULL;
        Py_DECREF(done);
    }
    PyObject *both = came(state, self);
    if (both == NULL)
        return or_none(NULL);
    done = method(state->received, self, PyTuple_GET_ITEM(both, 0), PyTuple_GET_ITEM(both, 1));
    Py_DECREF(both);
    Py_XDECREF(done);
    return done == NULL ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef sender_methods[] = {
    {"send", (PyCFunction)(void (*)(void))sender_send, METH_FASTCALL, "Never waits."},
    {"sent_by", sender_sent_by, METH_O, "host:port for Via, Record-Route and Contact."},
    {"flow_to", (PyCFunction)(void (*)(void))sender_flow_to, METH_FASTCALL | METH_KEYWORDS, "By which a request goes."},
    {"response_flow", (PyCFunction)(void (*)(void))sender_response_flow, METH_FASTCALL, "By which a response goes."},
    {NULL},
};

static PyMethodDef datagrams_methods[] = {
    {"ready", (PyCFunction)(void (*)(void))datagrams_ready, METH_FASTCALL, "Handles one datagram, and errors."},
    {"received", (PyCFunction)(void (*)(void))datagrams_received, METH_FASTCALL, "A datagram from an address."},
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
