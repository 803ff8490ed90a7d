/* What a run costs the server (hosts/runs.py): its pipes and the order to start it, and at its end what it wrote. All that
   is not plain, and what goes wrong, is left to Python, as if it had not been tried. */

#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8
#endif

static int put(char **at, const char *end, PyObject *text)
{
    Py_ssize_t size = 0;
    const char *octets = IS_TEXT(text) ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    if (octets == NULL || size >= end - *at || memchr(octets, '\0', (size_t)size) != NULL)
        return 0;
    memcpy(*at, octets, (size_t)size);
    (*at)[size] = '\0';
    *at += size + 1;
    return 1;
}

/* The texts of a START (wire.pack_texts); their size, or -1, perhaps with an exception. */
static Py_ssize_t pack(char *room, PyObject *directory, PyObject *argv, PyObject *environment)
{
    char *at = room, *end = room + MAX_RECORD + 1;
    PyObject *name, *value;
    if (!put(&at, end, directory))
        return -1;
    for (Py_ssize_t word = 0; word < PyList_GET_SIZE(argv); word++)
        if (!put(&at, end, PyList_GET_ITEM(argv, word)))
            return -1;
    for (Py_ssize_t place = 0; PyDict_Next(environment, &place, &name, NULL);)
        if (!put(&at, end, name))
            return -1;
    for (Py_ssize_t place = 0; PyDict_Next(environment, &place, NULL, &value);)
        if (!put(&at, end, value))
            return -1;
    return at - room - 1;
}

/* run.memory_file, without a second try. */
static int memory_file(PyObject *octets)
{
    static unsigned flags = MFD_CLOEXEC | MFD_NOEXEC_SEAL;
    int descriptor = memfd_create("sipcgi", flags);
    if (descriptor < 0 && errno == EINVAL) /* Linux before 6.3 */
        descriptor = memfd_create("sipcgi", flags = MFD_CLOEXEC);
    if (descriptor >= 0 && pwrite(descriptor, PyBytes_AS_STRING(octets), (size_t)PyBytes_GET_SIZE(octets), 0) !=
                               PyBytes_GET_SIZE(octets)) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

static int sent(int link, Record *record, Py_ssize_t size, const int *theirs, int count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control = {.room = {0}};
    struct iovec part = {record, sizeof(Order) + (size_t)size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(&control.header), theirs, (size_t)count * sizeof(int));
    return sendmsg(link, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* Whether the record, once it is packed, was sent with pipes, of which `run` has the reading ends. If not, nothing is left. */
static int ordered(State *state, int link, PyObject *run, PyObject *number, PyObject *running, Record *record, Py_ssize_t size,
                   PyObject *body)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, input = -1, took = PyBytes_GET_SIZE(body) > 0, done = 0;
    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 && (!took || (input = memory_file(body)) >= 0)) {
        int theirs[] = {out[1], err[1], input};
        record->order.flags = took ? STDIN : 0;
        done = set(run, state->stdout_, PyLong_FromLong(out[0])) && set(run, state->stderr_, PyLong_FromLong(err[0])) &&
               PyDict_SetItem(running, number, run) == 0;
        if (done && !sent(link, record, size, theirs, took ? 3 : 2)) {
            PyDict_DelItem(running, number);
            done = 0;
        }
        if (!done) {
            set(run, state->stdout_, PyLong_FromLong(-1));
            set(run, state->stderr_, PyLong_FromLong(-1));
        }
    }
    int all[] = {out[1], err[1], input, out[0], err[0]};
    for (int at = 0; at < (done ? 3 : 5); at++)
        if (all[at] >= 0)
            close(all[at]);
    return done;
}

/* An attribute that is a number; `otherwise` for all else, without an exception. */
static long number_in(PyObject *object, PyObject *name, long otherwise)
{
    PyObject *found = PyObject_GetAttr(object, name);
    long number = found != NULL && PyLong_CheckExact(found) ? PyLong_AsLong(found) : otherwise;
    if (PyErr_Occurred()) {
        PyErr_Clear();
        number = otherwise;
    }
    Py_XDECREF(found);
    return number;
}

enum { DIRECTORY, ARGV, ENVIRONMENT, STDIN_, GIVEN, RESIDENT, PROFILE, ISOLATION, ATTRIBUTES };

/* Of an Invocation; false with an exception. They are new references. */
static int take_attributes(State *state, PyObject *invocation, PyObject **found)
{
    PyObject *names[] = {state->directory, state->argv,     state->environment, state->stdin_,
                         state->given,     state->resident, state->profile,     state->isolation};
    for (int at = 0; at < ATTRIBUTES; at++)
        if ((found[at] = PyObject_GetAttr(at == ISOLATION ? found[PROFILE] : invocation, names[at])) == NULL)
            return 0;
    return 1;
}

/* Perhaps with an exception. */
static int plain_start(State *state, int link, PyObject *run, PyObject *running, unsigned long profile, PyObject *invocation)
{
    static Record record; /* a single thread calls this, and it is of no use when it has been sent */
    PyObject *found[ATTRIBUTES] = {NULL}, *number = PyObject_GetAttr(run, state->number);
    int done = 0;
    if (number != NULL && take_attributes(state, invocation, found) && PyLong_CheckExact(number) &&
        PyList_CheckExact(found[ARGV]) && PyList_GET_SIZE(found[ARGV]) > 0 && PyList_GET_SIZE(found[ARGV]) <= UINT16_MAX &&
        PyDict_CheckExact(found[ENVIRONMENT]) && PyBytes_CheckExact(found[STDIN_]) && PyDict_CheckExact(found[GIVEN]) &&
        PyDict_GET_SIZE(found[GIVEN]) == 0 && found[RESIDENT] == Py_False && IS_TEXT(found[ISOLATION]) &&
        PyUnicode_CompareWithASCIIString(found[ISOLATION], "off") == 0) {
        record.order = (Order){START, 0, (uint16_t)PyList_GET_SIZE(found[ARGV]), (uint32_t)profile,
                               PyLong_AsUnsignedLongLong(number)};
        Py_ssize_t size = PyErr_Occurred() ? -1 : pack(record.texts, found[DIRECTORY], found[ARGV], found[ENVIRONMENT]);
        done = size >= 0 && ordered(state, link, run, number, running, &record, size, found[STDIN_]);
    }
    for (int at = 0; at < ATTRIBUTES; at++)
        Py_XDECREF(found[at]);
    Py_XDECREF(number);
    return done;
}

/* The descriptor of the link, when no order waits and the other end knows the profile; else -1, perhaps with an exception. */
static int ready(State *state, PyObject *runs, PyObject *profile)
{
    int descriptor = -1;
    PyObject *link = PyObject_GetAttr(runs, state->link), *told = NULL;
    PyObject *queue = link == NULL || link == Py_None ? NULL : PyObject_GetAttr(runs, state->queue);
    if (queue != NULL && PyObject_Size(queue) == 0 && (told = PyObject_GetAttr(runs, state->_told)) != NULL &&
        PySequence_Contains(told, profile) > 0)
        descriptor = (int)number_in(link, state->descriptor, -1);
    Py_XDECREF(link);
    Py_XDECREF(queue);
    Py_XDECREF(told);
    return descriptor;
}

PyObject *native_plain_start(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    if (count != 4 || !PyLong_CheckExact(arguments[2])) {
        PyErr_SetString(PyExc_TypeError, "plain_start() takes all runs, a run, a profile and an invocation");
        return NULL;
    }
    unsigned long profile = PyLong_AsUnsignedLong(arguments[2]);
    int link = PyErr_Occurred() || profile > UINT32_MAX ? -1 : ready(state, arguments[0], arguments[2]), done = 0;
    PyObject *running = link < 0 ? NULL : PyObject_GetAttr(arguments[0], state->running);
    if (running != NULL && PyDict_CheckExact(running))
        done = plain_start(state, link, arguments[1], running, profile, arguments[3]);
    Py_XDECREF(running);
    return PyErr_Occurred() && !forgiven() ? NULL : PyBool_FromLong(done);
}

static int is(PyObject *object, PyObject *name, PyObject *value)
{
    PyObject *found = PyObject_GetAttr(object, name);
    PyErr_Clear();
    Py_XDECREF(found); /* a constant, which lives on */
    return found == value;
}

/* What is in the pipes of a run that nobody told to end, and closes them. NULL without an exception: Python does. */
static PyObject *drained(State *state, PyObject *run)
{
    static char octets[65536]; /* what a pipe holds */
    int out = (int)number_in(run, state->stdout_, -1), err = (int)number_in(run, state->stderr_, -1), one = 1, size, said;
    if (out < 0 || err < 0 || !is(run, state->told, Py_False) || !is(run, state->watched, Py_False) ||
        !is(run, state->timer_, Py_None) || !is(run, state->stderr_lines, Py_None) || ioctl(err, FIONREAD, &said) < 0 || said != 0 ||
        ioctl(out, FIONREAD, &size) < 0 || size >= (int)sizeof octets || size > number_in(run, state->max_output, -1))
        return NULL;
    if (size > 0 && (ioctl(out, FIONBIO, &one) < 0 || (size = (int)read(out, octets, (size_t)size)) < 0))
        return NULL; /* a child of the script may have taken it */
    PyObject *output = PyBytes_FromStringAndSize(octets, size);
    if (output == NULL || !set(run, state->stdout_, PyLong_FromLong(-1)) || !set(run, state->stderr_, PyLong_FromLong(-1)) ||
        !set(run, state->finished, Py_NewRef(Py_True))) {
        Py_XDECREF(output);
        return NULL;
    }
    close(out);
    close(err);
    return output;
}

/* Of a run that has ended plainly, which is no longer in `running` then. NULL without an exception when it is none. */
static PyObject *ended(State *state, const Report *report, PyObject *running)
{
    PyObject *number = PyLong_FromUnsignedLongLong(report->run), *run = NULL, *output = NULL, *found = NULL;
    if (number != NULL && (run = PyDict_GetItemWithError(running, number)) != NULL) {
        Py_INCREF(run);
        output = drained(state, run);
        if (output != NULL)
            found = Py_BuildValue("(OOidK)", run, output, (int)report->code, (double)report->cpu / 1e6,
                                  (unsigned long long)report->peak);
        if (found != NULL && PyDict_DelItem(running, number) < 0)
            Py_CLEAR(found);
    }
    Py_XDECREF(number);
    Py_XDECREF(run);
    Py_XDECREF(output);
    return found;
}

PyObject *native_hear(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    static char record[65536];
    ssize_t size;
    if (count != 2 || !PyDict_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "hear() takes a descriptor and a dict");
        return NULL;
    }
    int link = (int)PyLong_AsLong(arguments[0]);
    if (PyErr_Occurred())
        return NULL;
    do
        size = recv(link, record, sizeof record, MSG_DONTWAIT);
    while (size < 0 && (errno == ECONNRESET || errno == EINTR)); /* it died with unread orders; what it reported still comes */
    if (size < 0 && errno == EAGAIN)
        Py_RETURN_NONE;
    if (size < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Report report;
    memcpy(&report, record, sizeof report);
    if (size == (ssize_t)sizeof report && report.kind == EXITED && report.code >= 0) {
        PyObject *found = ended(PyModule_GetState(module), &report, arguments[1]);
        if (found != NULL || PyErr_Occurred())
            return found;
    }
    return PyBytes_FromStringAndSize(record, size);
}
