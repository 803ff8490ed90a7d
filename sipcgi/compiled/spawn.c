/* The start of a plain run (hosts/launcher.py): what posix_spawn does there, but out of the texts of the order as they are,
   and without looking at the limit of descriptors for each of them. Who calls it has all signals blocked and ignores none:
   the 64 system calls that make sure of it would cost as much as all others of a start. */

#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child does before its program. It shares our memory meanwhile: no allocation, nothing of Python. */
static int become(const Start *start)
{
    if (setsid() < 0 || chdir(start->directory) < 0) /* RFC 3050 6.1 */
        return errno;
    for (int at = 0; at < start->count; at++) {
        int ours = start->ours[at], number = start->numbers[at]; /* one that has its number already stays open, too */
        if ((ours == number ? fcntl(ours, F_SETFD, 0) : dup2(ours, number)) < 0)
            return errno;
    }
    struct rlimit limit = {start->mark, RLIM_INFINITY}; /* hosts/marks.py */
    if (start->mark != 0 && setrlimit(RLIMIT_LOCKS, &limit) < 0)
        return errno;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(start->argv[0], start->argv, start->environment);
    return errno;
}

/* The process, or -1 with errno. The parent goes on when the program runs, or when there will be none. */
static __attribute__((noinline)) pid_t born(const Start *start)
{
    volatile int error = 0;
    pid_t process = vfork();
    if (process == 0) {
        error = become(start);
        _exit(127);
    }
    if (process < 0)
        error = errno;
    if (error == 0)
        return process;
    while (process > 0 && waitpid(process, NULL, 0) < 0 && errno == EINTR)
        ;
    errno = error;
    return -1;
}

static char *following(char *text)
{
    return text + strlen(text) + 1;
}

/* Lays out arguments and environment in `room`. False, with a ValueError, for what is no order. */
static int lay_out(Start *start, char *texts, Py_ssize_t arguments, Py_ssize_t variables, char **room)
{
    start->directory = texts;
    start->argv = room;
    for (Py_ssize_t at = 0; at < arguments; at++)
        *room++ = texts = following(texts);
    *room++ = NULL;
    start->environment = room;
    char *to = (char *)(room + variables + 1), *name = following(texts), *value = name;
    for (Py_ssize_t at = 0; at < variables; at++)
        value = following(value);
    for (Py_ssize_t at = 0; at < variables; at++, name = following(name), value = following(value)) {
        if (*name == '\0' || strchr(name + 1, '=') != NULL) {
            PyErr_SetString(PyExc_ValueError, "illegal environment variable name");
            return 0;
        }
        *room++ = to;
        to = stpcpy(to, name);
        *to++ = '=';
        to = stpcpy(to, value) + 1;
    }
    *room = NULL;
    return 1;
}

/* `descriptors` are pairs: ours, and the number in the child. */
static int take_descriptors(Start *start, PyObject *descriptors)
{
    if (!PyList_CheckExact(descriptors) || PyList_GET_SIZE(descriptors) > MAX_DESCRIPTORS) {
        PyErr_SetString(PyExc_TypeError, "descriptors are a list of few pairs");
        return 0;
    }
    start->count = (int)PyList_GET_SIZE(descriptors);
    for (int at = 0; at < start->count; at++)
        if (!PyTuple_Check(PyList_GET_ITEM(descriptors, at)) ||
            !PyArg_ParseTuple(PyList_GET_ITEM(descriptors, at), "ii", start->ours + at, start->numbers + at)) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "descriptors are pairs");
            return 0;
        }
    return 1;
}

/* The process; or -1, with an exception, or with errno and none. Behind the texts is one more NUL. */
pid_t spawned(Start *start, char *texts, Py_ssize_t size, Py_ssize_t arguments)
{
    Py_ssize_t count = 1;
    for (const char *at = texts; (at = memchr(at, '\0', texts + size - at)) != NULL; at++)
        count++;
    if (arguments < 1 || arguments > count - 1 || (count - 1 - arguments) % 2 != 0) {
        PyErr_SetString(PyExc_ValueError, "no order to start a program");
        return -1;
    }
    Py_ssize_t variables = (count - 1 - arguments) / 2;
    char **room = PyMem_Malloc((size_t)(arguments + variables + 2) * sizeof(char *) + (size_t)size + 1);
    if (room == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    pid_t process = lay_out(start, texts, arguments, variables, room) ? born(start) : -1;
    int error = errno;
    PyMem_Free(room);
    errno = error;
    return process;
}

PyObject *native_spawn(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Start start;
    if (count != 4 || !PyBytes_CheckExact(arguments[0]) || !PyLong_CheckExact(arguments[1]) ||
        !PyLong_CheckExact(arguments[3])) {
        PyErr_SetString(PyExc_TypeError, "spawn() takes texts, the number of arguments, descriptors and a mark");
        return NULL;
    }
    Py_ssize_t argv = PyLong_AsSsize_t(arguments[1]);
    start.mark = PyLong_AsUnsignedLongLong(arguments[3]);
    if (PyErr_Occurred() || !take_descriptors(&start, arguments[2]))
        return NULL;
    pid_t process = spawned(&start, PyBytes_AS_STRING(arguments[0]), PyBytes_GET_SIZE(arguments[0]), argv);
    if (process > 0)
        return PyLong_FromLong(process);
    return PyErr_Occurred() ? NULL : PyErr_SetFromErrno(PyExc_OSError);
}
