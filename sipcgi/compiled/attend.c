/* The loop of the launcher (hosts/launcher.py) as far as runs are plain: it waits, starts them, and reports how they ended.
   All else that comes, and what goes wrong, it hands to Python. */

#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    int server, deaths;
    unsigned long long base; /* of the marks; 0: there can be none */
    PyObject *plain, *death; /* runs by process id; one of another process: the next one is not reaped before it is told */
} Launcher;

static void close_received(const int *descriptors, int count)
{
#ifdef SYS_close_range
    int last = descriptors[count - 1]; /* they mostly came one behind the other */
    if (last - descriptors[0] == count - 1 && syscall(SYS_close_range, descriptors[0], last, 0) == 0)
        return;
#endif
    for (int at = 0; at < count; at++)
        close(descriptors[at]);
}

/* Of a START that is plain: whether it runs. There may be an exception when it does not. */
static int began(Launcher *self, Record *record, Py_ssize_t size, Start *start)
{
    const Order *order = &record->order;
    if (size < (Py_ssize_t)sizeof(Order) || order->kind != START || order->profile != PLAIN || order->flags & ~STDIN ||
        start->count != (order->flags & STDIN ? 3 : 2))
        return 0;
    start->numbers[0] = 1;
    start->numbers[1] = 2;
    start->numbers[2] = 0;
    start->mark = self->base == 0 ? 0 : self->base << 32 | (order->run & UINT32_MAX); /* hosts/marks.py */
    size -= sizeof(Order);
    record->texts[size] = '\0';
    PyObject *run = PyLong_FromUnsignedLongLong(order->run);
    pid_t process = run == NULL ? -1 : spawned(start, record->texts, size, order->arguments);
    PyObject *number = process > 0 ? PyLong_FromLong(process) : NULL;
    if (number != NULL)
        PyDict_SetItem(self->plain, number, run);
    Py_XDECREF(number);
    Py_XDECREF(run);
    return process > 0;
}

/* Takes one order: None when that was all, else it and its descriptors. */
static PyObject *take(Launcher *self)
{
    static Record record; /* a single thread calls this, and looks at it no more when it returns */
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec part = {&record, sizeof record - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(self->server, &message, MSG_CMSG_CLOEXEC);
    if (size < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Start start = {.count = 0};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        start.count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(start.ours, CMSG_DATA(header), (size_t)start.count * sizeof(int));
    }
    if (began(self, &record, size, &start)) {
        close_received(start.ours, start.count);
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    PyErr_Clear(); /* Python does it again, and says what is wrong */
    PyObject *descriptors = PyList_New(start.count);
    for (int at = 0; descriptors != NULL && at < start.count; at++) {
        PyObject *one = PyLong_FromLong(start.ours[at]);
        if (one == NULL)
            Py_CLEAR(descriptors);
        else
            PyList_SET_ITEM(descriptors, at, one);
    }
    return descriptors == NULL ? NULL : Py_BuildValue("(y#N)", (char *)&record, (Py_ssize_t)size, descriptors);
}

static int sent(Launcher *self, const Report *reports, int *count)
{
    size_t size = (size_t)*count * sizeof(Report);
    *count = 0;
    if (size == 0 || send(self->server, reports, size, MSG_NOSIGNAL) >= 0)
        return 1;
    PyErr_SetFromErrno(PyExc_OSError);
    return 0;
}

/* Whether `report`, of what ended as `process`, is about a plain run, which it then names; -1 with an exception. */
static int is_plain(Launcher *self, pid_t process, Report *report)
{
    int found = -1;
    PyObject *number = PyLong_FromLong(process);
    PyObject *run = number == NULL ? NULL : PyDict_GetItemWithError(self->plain, number);
    if (run != NULL) {
        report->run = PyLong_AsUnsignedLongLong(run);
        found = PyErr_Occurred() || PyDict_DelItem(self->plain, number) < 0 ? -1 : 1;
    } else if (!PyErr_Occurred()) {
        self->death = Py_BuildValue("(OiKK)", number, (int)report->code, (unsigned long long)report->cpu,
                                    (unsigned long long)report->peak);
        found = self->death == NULL ? -1 : 0;
    }
    Py_XDECREF(number);
    return found;
}

/* Reaps what ended, until it was no plain run. False with an exception. */
static int reap(Launcher *self)
{
    char told[128];
    Report reports[MAX_REPORTS];
    int count = 0, status;
    pid_t process;
    struct rusage usage;
    if (read(self->deaths, told, sizeof told) < 0) { /* before the children are asked for: none is overlooked */
        PyErr_SetFromErrno(PyExc_OSError);
        return 0;
    }
    while (self->death == NULL && (process = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        Report *report = reports + count;
        report->kind = EXITED;
        report->code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
        report->cpu = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
        report->peak = (uint64_t)usage.ru_maxrss;
        int found = is_plain(self, process, report);
        if (found < 0)
            return 0;
        count += found;
        if (count == MAX_REPORTS && !sent(self, reports, &count))
            return 0;
    }
    return sent(self, reports, &count);
}

/* One round of waiting: the order that is for Python, None; NULL with an exception. `patience`: milliseconds, or -1. */
static PyObject *turn(Launcher *self, int patience)
{
    struct pollfd awaited[] = {{.fd = self->deaths, .events = POLLIN}, {.fd = self->server, .events = POLLIN}};
    if (poll(awaited, 2, patience) < 0 && errno != EINTR)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (awaited[0].revents && !reap(self))
        return NULL;
    return awaited[1].revents ? take(self) : Py_NewRef(Py_None);
}

PyObject *native_attend(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 5 || !PyLong_CheckExact(arguments[2]) || !PyDict_CheckExact(arguments[3])) {
        PyErr_SetString(PyExc_TypeError, "attend() takes server, deaths, the base of marks, a dict and the patience");
        return NULL;
    }
    int endless = arguments[4] == Py_None;
    double patience = endless ? 0 : PyFloat_AsDouble(arguments[4]) * 1000 + 1;
    Launcher self = {.base = PyLong_AsUnsignedLongLong(arguments[2]), .plain = arguments[3]};
    if (PyErr_Occurred() || (self.server = PyObject_AsFileDescriptor(arguments[0])) < 0 ||
        (self.deaths = PyObject_AsFileDescriptor(arguments[1])) < 0)
        return NULL;
    PyObject *order;
    do
        order = turn(&self, endless ? -1 : patience < 1 ? 1 : patience < 1e6 ? (int)patience : 1000000);
    while (endless && order == Py_None && self.death == NULL);
    if (order == NULL && self.death != NULL && PyErr_ExceptionMatches(PyExc_OSError)) {
        PyErr_Clear(); /* the server is gone, which whoever reports that death finds again: its number is free already */
        order = Py_NewRef(Py_None);
    }
    if (order != NULL)
        return Py_BuildValue("(NN)", order, self.death != NULL ? self.death : Py_NewRef(Py_None));
    Py_XDECREF(self.death);
    return NULL;
}
