/* A transaction as its side drives it with nearly every message (engine/sides.py). */

#include "native.h"

typedef struct {
    Walker walker;
    PyObject *flow, *key, *last, *layer, *request, *user;
} Side;

typedef struct {
    Side side;
    PyObject *arrival, *domain, *trouble;
    char answered;
} Client;

typedef struct {
    Side side;
    PyObject *to_tag;
} Server;

enum { RESPONSE_1XX, RESPONSE_2XX, RESPONSE_300_699, REQUEST, ACK, INPUTS }; /* `inputs` of engine/transaction.py */

static int is_over_udp(State *state, PyObject *flow)
{
    return PyTuple_Check(flow) && PyTuple_GET_SIZE(flow) > 0 &&
           same_text(PyTuple_GET_ITEM(flow, 0), state->transport_word[0]);
}

/* Whether all that is used here is there: Python may delete what it likes. */
static int is_whole(Side *self)
{
    if (self->flow != NULL && self->key != NULL && self->last != NULL && self->layer != NULL && self->request != NULL &&
        self->user != NULL)
        return 1;
    PyErr_SetString(PyExc_AttributeError, "used before __init__");
    return 0;
}

/* An attribute of the layer, whatever it does to get it. */
static PyObject *of_layer(Side *self, PyObject *name)
{
    PyObject *layer = is_whole(self) ? Py_NewRef(self->layer) : NULL, *found = layer == NULL ? NULL : PyObject_GetAttr(layer, name);
    Py_XDECREF(layer);
    return found;
}

static PyObject *stepped(State *state, Side *self, int which, PyObject *message)
{
    PyObject *inputs = PyObject_GetAttr((PyObject *)self, state->inputs), *done = NULL;
    if (inputs != NULL && PyTuple_Check(inputs) && PyTuple_GET_SIZE(inputs) == INPUTS)
        done = step((Walker *)self, PyTuple_GET_ITEM(inputs, which), message);
    else if (inputs != NULL)
        PyErr_SetString(PyExc_TypeError, "inputs are five");
    Py_XDECREF(inputs);
    return done;
}

/* Into one of the tables of the layer, which is an attribute of it. */
static int enter(Side *self, PyObject *name)
{
    PyObject *table = of_layer(self, name), *key = table == NULL || !is_whole(self) ? NULL : Py_NewRef(self->key);
    int failed = key == NULL ? -1 : PyObject_SetItem(table, key, (PyObject *)self);
    Py_XDECREF(table);
    Py_XDECREF(key);
    return failed == 0;
}

/* The arrow of its kind into the first state. */
static int began(State *state, Side *self, PyObject *invite, PyObject *other)
{
    PyObject *flow = self->flow, *done = NULL;
    PyObject *kinds = of_layer(self, flow != NULL && is_over_udp(state, flow) ? state->datagram : state->stream);
    PyObject *word = kinds == NULL || !is_whole(self) ? NULL : PyObject_GetAttr(self->request, state->method);
    PyObject *arrow = word == NULL ? NULL : PyObject_GetAttr(kinds, same_text(word, state->method_word[0]) ? invite : other);
    if (arrow != NULL)
        done = begin((Walker *)self, arrow);
    Py_XDECREF(kinds);
    Py_XDECREF(word);
    Py_XDECREF(arrow);
    Py_XDECREF(done);
    return done != NULL;
}

static int takes(Side *self, PyObject *arguments, PyObject *keywords, Py_ssize_t count)
{
    if (PyTuple_GET_SIZE(arguments) == count && keywords == NULL)
        return 1;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments", Py_TYPE(self)->tp_name, count);
    return 0;
}

static void fill(Side *self, PyObject *layer, PyObject *request, PyObject *last, PyObject *flow, PyObject *user, PyObject *key)
{
    Py_XSETREF(self->layer, Py_NewRef(layer));
    Py_XSETREF(self->request, Py_NewRef(request));
    Py_XSETREF(self->last, Py_NewRef(last));
    Py_XSETREF(self->flow, Py_NewRef(flow));
    Py_XSETREF(self->user, Py_NewRef(user));
    Py_XSETREF(self->key, Py_NewRef(key));
}

#define GIVEN(at) PyTuple_GET_ITEM(arguments, at)

static int client_init(Client *self, PyObject *arguments, PyObject *keywords)
{
    Side *side = &self->side;
    State *state = state_of((PyObject *)self);
    if (state == NULL || !takes(side, arguments, keywords, 7))
        return -1;
    fill(side, GIVEN(0), GIVEN(1), GIVEN(2), GIVEN(3), GIVEN(4), GIVEN(5));
    Py_XSETREF(self->domain, Py_NewRef(GIVEN(6)));
    self->answered = 0;
    PyObject *awaited = enter(side, state->clients) ? of_layer(side, state->awaited) : NULL;
    PyObject *done = awaited == NULL ? NULL : method(state->add, awaited, (PyObject *)self, NULL);
    Py_XDECREF(awaited);
    Py_XDECREF(done);
    return done != NULL && began(state, side, state->invite_client, state->noninvite_client) ? 0 : -1;
}

static int server_init(Server *self, PyObject *arguments, PyObject *keywords)
{
    Side *side = &self->side;
    State *state = state_of((PyObject *)self);
    PyObject *nothing = state == NULL || !takes(side, arguments, keywords, 4) ? NULL : PyBytes_FromStringAndSize(NULL, 0);
    if (nothing == NULL)
        return -1;
    fill(side, GIVEN(0), GIVEN(1), nothing, GIVEN(2), Py_None, GIVEN(3));
    Py_DECREF(nothing);
    Py_XSETREF(self->to_tag, Py_NewRef(state->nothing));
    return enter(side, state->servers) && began(state, side, state->invite_server, state->noninvite_server) ? 0 : -1;
}

/* 100 to 699; -1 for an exception. */
static long status_of(State *state, PyObject *response)
{
    PyObject *status = PyObject_GetAttr(response, state->status);
    long number = status == NULL ? -1 : PyLong_AsLong(status);
    Py_XDECREF(status);
    return number;
}

static PyObject *sent(State *state, Side *self, PyObject *octets, PyObject *flow)
{
    PyObject *transport = of_layer(self, state->transport), *error;
    PyObject *done = transport == NULL ? NULL : method(state->send, transport, octets, flow);
    Py_XDECREF(transport);
    if (done == NULL && (error = caught(state->unreachable)) != NULL) {
        PyObject *told = method(state->not_sent, (PyObject *)self, error, octets);
        Py_XDECREF(told);
        Py_DECREF(error);
        if (told != NULL)
            Py_RETURN_FALSE;
    }
    return done;
}

/* Out of a table of the layer; out of `responded` only if it is the last one of its flow. */
static int leave(Side *self, PyObject *name, PyObject *key, int only_own)
{
    Py_INCREF(key);
    PyObject *table = of_layer(self, name), *found = NULL;
    int failed = table == NULL;
    if (table != NULL && PyDict_Check(table))
        found = PyDict_GetItemWithError(table, key);
    if (found != NULL && (found == (PyObject *)self || !only_own))
        failed = PyDict_DelItem(table, key) < 0;
    Py_XDECREF(table);
    Py_DECREF(key);
    return !failed && !PyErr_Occurred();
}

/* It has its final response, or will have none. */
static int answered(State *state, Client *self)
{
    self->answered = 1;
    PyObject *awaited = of_layer(&self->side, state->awaited);
    PyObject *done = awaited == NULL ? NULL : method(state->discard, awaited, (PyObject *)self, NULL);
    Py_XDECREF(awaited);
    Py_XDECREF(done);
    return done != NULL;
}

static PyObject *client_received(Client *self, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = state_of((PyObject *)self);
    long status = state == NULL || count != 2 ? -1 : status_of(state, arguments[0]);
    if (status == -1 && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "received() takes a response and its flow");
    if (status == -1 || !is_whole(&self->side))
        return NULL;
    Py_XSETREF(self->arrival, Py_NewRef(arguments[1]));
    if (status < 200)
        return stepped(state, &self->side, RESPONSE_1XX, arguments[0]);
    if (!self->answered) {
        PyObject *nothing = answered(state, self) ? PyBytes_FromStringAndSize(NULL, 0) : NULL;
        if (nothing == NULL)
            return NULL;
        Py_XSETREF(self->side.last, nothing); /* it is never sent again */
    }
    PyObject *done = stepped(state, &self->side, status < 300 ? RESPONSE_2XX : RESPONSE_300_699, arguments[0]);
    if (done != NULL)
        Py_XSETREF(self->side.request, Py_NewRef(Py_None));
    return done;
}

static PyObject *client_send(Client *self, PyObject *Py_UNUSED(message))
{
    State *state = state_of((PyObject *)self);
    if (state == NULL || !is_whole(&self->side))
        return NULL;
    if (PyBytes_Check(self->side.last) && PyBytes_GET_SIZE(self->side.last) == 0)
        Py_RETURN_NONE;
    PyObject *octets = Py_NewRef(self->side.last), *flow = Py_NewRef(self->side.flow);
    PyObject *done = sent(state, &self->side, octets, flow);
    Py_DECREF(octets);
    Py_DECREF(flow);
    Py_XDECREF(done);
    return done == NULL ? NULL : Py_NewRef(Py_None);
}

static PyObject *client_hand_over(Client *self, PyObject *message)
{
    State *state = state_of((PyObject *)self);
    if (state == NULL || !is_whole(&self->side))
        return NULL;
    if (self->side.user == Py_None)
        Py_RETURN_NONE;
    if (self->arrival == NULL) {
        PyErr_SetString(PyExc_AttributeError, "arrival");
        return NULL;
    }
    PyObject *user = Py_NewRef(self->side.user), *flow = Py_NewRef(self->arrival);
    PyObject *done = method(state->response, user, message, flow);
    Py_DECREF(user);
    Py_DECREF(flow);
    return done;
}

static PyObject *client_end(Client *self, PyObject *Py_UNUSED(message))
{
    State *state = state_of((PyObject *)self);
    Side *side = &self->side;
    if (state == NULL || !is_whole(side) || !stop(&side->walker.resend) || !stop(&side->walker.timeout))
        return NULL;
    Py_XSETREF(side->request, Py_NewRef(Py_None));
    if (!self->answered && !answered(state, self))
        return NULL;
    if (!is_whole(side) || !leave(side, state->clients, side->key, 0))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *server_received(Server *self, PyObject *request)
{
    State *state = state_of((PyObject *)self);
    PyObject *word = state == NULL ? NULL : PyObject_GetAttr(request, state->method);
    int input = word != NULL && same_text(word, state->method_word[1]) ? ACK : REQUEST;
    Py_XDECREF(word);
    return word == NULL ? NULL : stepped(state, &self->side, input, request);
}

static PyObject *server_respond(Server *self, PyObject *response)
{
    State *state = state_of((PyObject *)self);
    long status = state == NULL ? -1 : status_of(state, response);
    if (status == -1 && PyErr_Occurred())
        return NULL;
    PyObject *done = stepped(state, &self->side, status < 200 ? RESPONSE_1XX : status < 300 ? RESPONSE_2XX : RESPONSE_300_699,
                             response);
    if (done != NULL && status >= 200) {
        Py_XSETREF(self->side.user, Py_NewRef(Py_None));
        Py_XSETREF(self->side.request, Py_NewRef(Py_None));
    }
    return done;
}

/* Of a response over UDP an error comes later; to one that has ended it would be of no use. */
static int note(State *state, Side *self, PyObject *flow)
{
    PyObject *servers = of_layer(self, state->servers), *responded = NULL, *key = Py_XNewRef(self->key);
    PyObject *found = servers == NULL || key == NULL || !PyDict_Check(servers) ? NULL : PyDict_GetItemWithError(servers, key);
    if (found == (PyObject *)self && (responded = of_layer(self, state->responded)) != NULL)
        PyObject_SetItem(responded, flow, found);
    Py_XDECREF(servers);
    Py_XDECREF(responded);
    Py_XDECREF(key);
    return !PyErr_Occurred();
}

static PyObject *server_transmit(Server *self, PyObject *octets)
{
    State *state = state_of((PyObject *)self);
    if (state == NULL || !is_whole(&self->side))
        return NULL;
    PyObject *flow = Py_NewRef(self->side.flow), *done = sent(state, &self->side, octets, flow);
    if (done != NULL && done != Py_False && is_over_udp(state, flow) &&
        !(is_whole(&self->side) && note(state, &self->side, flow)))
        Py_CLEAR(done);
    Py_DECREF(flow);
    Py_XDECREF(done);
    return done == NULL ? NULL : Py_NewRef(Py_None);
}

static PyObject *server_send(Server *self, PyObject *message)
{
    PyObject *octets = PyObject_Bytes(message);
    if (octets == NULL)
        return NULL;
    Py_XSETREF(self->side.last, Py_NewRef(octets));
    PyObject *done = server_transmit(self, octets);
    Py_DECREF(octets);
    return done;
}

static PyObject *server_end(Server *self, PyObject *Py_UNUSED(message))
{
    State *state = state_of((PyObject *)self);
    Side *side = &self->side;
    if (state == NULL || !is_whole(side) || !stop(&side->walker.resend) || !stop(&side->walker.timeout) || !is_whole(side) ||
        !leave(side, state->servers, side->key, 0) || !is_whole(side) || !leave(side, state->responded, side->flow, 1))
        return NULL;
    Py_RETURN_NONE;
}

static int side_traverse(Side *self, visitproc visit, void *arg)
{
    PyObject **held[] = {&self->flow, &self->key, &self->last, &self->layer, &self->request, &self->user};
    for (size_t at = 0; at < sizeof(held) / sizeof(*held); at++)
        Py_VISIT(*held[at]);
    return walker_traverse(&self->walker, visit, arg);
}

static int side_clear(Side *self)
{
    PyObject **held[] = {&self->flow, &self->key, &self->last, &self->layer, &self->request, &self->user};
    for (size_t at = 0; at < sizeof(held) / sizeof(*held); at++)
        Py_CLEAR(*held[at]);
    return walker_clear(&self->walker);
}

static int client_traverse(Client *self, visitproc visit, void *arg)
{
    Py_VISIT(self->arrival);
    Py_VISIT(self->domain);
    Py_VISIT(self->trouble);
    return side_traverse(&self->side, visit, arg);
}

static int client_clear(Client *self)
{
    Py_CLEAR(self->arrival);
    Py_CLEAR(self->domain);
    Py_CLEAR(self->trouble);
    return side_clear(&self->side);
}

static int server_traverse(Server *self, visitproc visit, void *arg)
{
    Py_VISIT(self->to_tag);
    return side_traverse(&self->side, visit, arg);
}

static int server_clear(Server *self)
{
    Py_CLEAR(self->to_tag);
    return side_clear(&self->side);
}

#define DEALLOC(name, Kind)                                                                           \
    static void name##_dealloc(Kind *self)                                                            \
    {                                                                                                 \
        PyTypeObject *kind = Py_TYPE(self);                                                           \
        PyObject_GC_UnTrack(self);                                                                    \
        Py_TRASHCAN_BEGIN(self, name##_dealloc) /* a long chain of them must not overflow the stack */ \
        name##_clear(self);                                                                           \
        kind->tp_free((PyObject *)self);                                                              \
        Py_DECREF(kind);                                                                              \
        Py_TRASHCAN_END                                                                               \
    }

DEALLOC(side, Side)
DEALLOC(client, Client)
DEALLOC(server, Server)

#define HELD(Kind, name) {#name, T_OBJECT_EX, offsetof(Kind, name), 0, NULL}

static PyMemberDef side_members[] = {
    HELD(Side, flow), HELD(Side, key), HELD(Side, last), HELD(Side, layer), HELD(Side, request), HELD(Side, user), {NULL},
};

static PyMemberDef client_members[] = {
    HELD(Client, arrival), HELD(Client, domain), HELD(Client, trouble),
    {"answered", T_BOOL, offsetof(Client, answered), 0, NULL}, {NULL},
};

static PyMemberDef server_members[] = {HELD(Server, to_tag), {NULL}};

static PyMethodDef client_methods[] = {
    {"received", (PyCFunction)(void (*)(void))client_received, METH_FASTCALL, "A response of the peer."},
    {"send", (PyCFunction)client_send, METH_O, "What is in `last`."},
    {"hand_over", (PyCFunction)client_hand_over, METH_O, "A response, to the user."},
    {"end", (PyCFunction)client_end, METH_O, "It leaves the tables of its layer."},
    {NULL},
};

static PyMethodDef server_methods[] = {
    {"received", (PyCFunction)server_received, METH_O, "The request once more, or its ACK."},
    {"respond", (PyCFunction)server_respond, METH_O, "Sends a response of the user."},
    {"send", (PyCFunction)server_send, METH_O, "A response, which is kept."},
    {"transmit", (PyCFunction)server_transmit, METH_O, "The octets of a response."},
    {"end", (PyCFunction)server_end, METH_O, "It leaves the table of its layer."},
    {NULL},
};

static PyType_Slot side_slots[] = {
    {Py_tp_traverse, side_traverse}, {Py_tp_clear, side_clear}, {Py_tp_dealloc, side_dealloc},
    {Py_tp_members, side_members}, {0, NULL},
};

static PyType_Slot client_slots[] = {
    {Py_tp_init, client_init}, {Py_tp_traverse, client_traverse}, {Py_tp_clear, client_clear},
    {Py_tp_dealloc, client_dealloc}, {Py_tp_members, client_members}, {Py_tp_methods, client_methods}, {0, NULL},
};

static PyType_Slot server_slots[] = {
    {Py_tp_init, server_init}, {Py_tp_traverse, server_traverse}, {Py_tp_clear, server_clear},
    {Py_tp_dealloc, server_dealloc}, {Py_tp_members, server_members}, {Py_tp_methods, server_methods}, {0, NULL},
};

#define SPEC(spec, kind, Kind, its_slots)                                              \
    PyType_Spec spec = {                                                               \
        .name = "sipcgi.compiled.native." kind,                                        \
        .basicsize = sizeof(Kind),                                                     \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,        \
        .slots = its_slots,                                                            \
    }

SPEC(side_spec, "Side", Side, side_slots);
SPEC(client_side_spec, "ClientSide", Client, client_slots);
SPEC(server_side_spec, "ServerSide", Server, server_slots);
