/* Whom a message is for: the transaction that has its key (engine/transactions.py), and the clients of a peer
   (engine/awaited.py). */

#include "native.h"

static PyObject *client_key(State *state, PyObject *message)
{
    PyObject *via = PyObject_GetAttr(message, state->via), *cseq = NULL, *key = NULL;
    PyObject *branch = via == NULL ? NULL : PyObject_GetAttr(via, state->branch);
    if (branch == Py_None)
        Py_SETREF(branch, Py_NewRef(state->nothing));
    cseq = branch == NULL ? NULL : PyObject_GetAttr(message, state->cseq);
    PyObject *word = cseq == NULL ? NULL : PyObject_GetAttr(cseq, state->method);
    if (word != NULL)
        key = PyTuple_Pack(2, branch, word);
    Py_XDECREF(via);
    Py_XDECREF(branch);
    Py_XDECREF(cseq);
    Py_XDECREF(word);
    return key;
}

/* What a dictionary that is an attribute has; NULL without an exception when it has not. */
static PyObject *found_in(PyObject *self, PyObject *name, PyObject *key)
{
    PyObject *table = PyObject_GetAttr(self, name), *found = NULL;
    if (table != NULL && PyDict_Check(table))
        found = Py_XNewRef(PyDict_GetItemWithError(table, key));
    else if (table != NULL)
        PyErr_Format(PyExc_TypeError, "%U is a dictionary", name);
    Py_XDECREF(table);
    return found;
}

static PyObject *matching_receive(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of(self);
    PyObject *kinds = state == NULL ? NULL : PyObject_GetAttr(self, state->kinds), *key, *found, *done = NULL;
    if (kinds == NULL || count != 2 || !PyTuple_Check(kinds) || PyTuple_GET_SIZE(kinds) != 2) {
        Py_XDECREF(kinds);
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "receive() takes a message and its flow; kinds are a class and a function");
        return NULL;
    }
    PyObject *message = arguments[0], *flow = arguments[1];
    int is_response = (PyObject *)Py_TYPE(message) == PyTuple_GET_ITEM(kinds, 0);
    key = is_response ? client_key(state, message) : server_key(state, message);
    if (key == NULL && !PyErr_Occurred())
        key = PyObject_CallOneArg(PyTuple_GET_ITEM(kinds, 1), message);
    found = key == NULL ? NULL : found_in(self, is_response ? state->clients : state->servers, key);
    if (found != NULL)
        done = method(state->received, found, message, is_response ? flow : NULL);
    else if (!PyErr_Occurred() && is_response) /* RFC 6026 8.9 */
        done = Py_NewRef(Py_None);
    else if (!PyErr_Occurred()) {
        PyObject *given[] = {self, message, flow, key};
        done = PyObject_VectorcallMethod(state->arrived, given, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_DECREF(kinds);
    Py_XDECREF(key);
    Py_XDECREF(found);
    return done;
}

/* The remote side of the flow of a client. */
static PyObject *peer_of(State *state, PyObject *client)
{
    PyObject *flow = PyObject_GetAttr(client, state->flow), *peer = NULL;
    if (flow != NULL && PyTuple_Check(flow) && PyTuple_GET_SIZE(flow) > 2)
        peer = Py_NewRef(PyTuple_GET_ITEM(flow, 2));
    else if (flow != NULL)
        PyErr_SetString(PyExc_TypeError, "a client has a flow");
    Py_XDECREF(flow);
    return peer;
}

static PyObject *by_peer_add(PyObject *self, PyObject *client)
{
    State *state = state_of(self);
    PyObject *peer = state == NULL ? NULL : peer_of(state, client);
    PyObject *clients = peer == NULL ? NULL : found_in(self, state->peers, peer);
    int done = 0;
    if (clients == NULL && !PyErr_Occurred()) {
        PyObject *peers = PyObject_GetAttr(self, state->peers);
        clients = peers == NULL ? NULL : PyDict_New();
        if (clients != NULL && PyDict_SetItem(peers, peer, clients) < 0)
            Py_CLEAR(clients);
        Py_XDECREF(peers);
    }
    if (clients != NULL)
        done = PyObject_SetItem(clients, client, Py_None) == 0;
    Py_XDECREF(peer);
    Py_XDECREF(clients);
    if (!done)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *by_peer_discard(PyObject *self, PyObject *client)
{
    State *state = state_of(self);
    PyObject *peer = state == NULL ? NULL : peer_of(state, client);
    PyObject *clients = peer == NULL ? NULL : found_in(self, state->peers, peer);
    int found = clients == NULL ? 0 : PySequence_Contains(clients, client);
    if (found > 0)
        found = PyObject_DelItem(clients, client);
    if (found == 0 && clients != NULL && PyObject_Size(clients) == 0) {
        PyObject *peers = PyObject_GetAttr(self, state->peers);
        found = peers == NULL ? -1 : PyObject_DelItem(peers, peer);
        Py_XDECREF(peers);
    }
    Py_XDECREF(peer);
    Py_XDECREF(clients);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef matching_methods[] = {
    {"receive", (PyCFunction)(void (*)(void))matching_receive, METH_FASTCALL, "A message from the network."},
    {NULL},
};

static PyMethodDef by_peer_methods[] = {
    {"add", by_peer_add, METH_O, "It waits for a final response."},
    {"discard", by_peer_discard, METH_O, "It has its final response, or has ended without one."},
    {NULL},
};

static PyType_Slot matching_slots[] = {
    {Py_tp_methods, matching_methods},
    {0, NULL},
};

static PyType_Slot by_peer_slots[] = {
    {Py_tp_methods, by_peer_methods},
    {0, NULL},
};

PyType_Spec matching_spec = {
    .name = "sipcgi.compiled.native.Matching",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = matching_slots,
};

PyType_Spec by_peer_spec = {
    .name = "sipcgi.compiled.native.ByPeer",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = by_peer_slots,
};
