/* What a script could do: a SIP-CGI script that tries, and names in its body all in which it succeeded, one a line.
   READ and WRITE are paths to open, PROGRAM one to execute that belongs to root and is setuid. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void did(const char *what, const char *which, int success) {
    if (success) printf("%s%s%s\n", what, *which ? " " : "", which);
}

static void each(const char *what, const char *variable, int flags) {
    char *paths = getenv(variable);
    for (char *path = paths ? strtok(strdup(paths), ":") : NULL; path; path = strtok(NULL, ":")) {
        int descriptor = open(path, flags, 0666);
        did(what, path, descriptor >= 0);
        if (descriptor >= 0) close(descriptor);
    }
}

static int parent_of(int process) {
    char path[64];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1) parent = 0;
        fclose(file);
    }
    return parent;
}

static void against(const char *name, int process) {
    static const char *files[] = {"environ", "mem", "maps", "fd/0", "root", "cwd", "auxv"};
    char path[64], octets[8], what[64];
    for (int i = 0; i < (int)(sizeof files / sizeof *files); i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", process, files[i]);
        int descriptor = open(path, O_RDONLY);
        snprintf(what, sizeof what, "%s's %s", name, files[i]);
        did("open", what, descriptor >= 0);
        if (descriptor >= 0) close(descriptor);
    }
    did("signal", name, kill(process, 0) == 0);
    struct iovec own = {octets, sizeof octets}, theirs = {(void *)environ, sizeof octets}; /* hardly the place there */
    did("read memory of", name, process_vm_readv(process, &own, 1, &theirs, 1, 0) > 0 || errno == EFAULT);
    struct rlimit limit;
    int limits = prlimit(process, RLIMIT_CORE, NULL, &limit) == 0 && prlimit(process, RLIMIT_CORE, &limit, NULL) == 0;
    did("change limits of", name, limits);
    int traced = ptrace(PTRACE_ATTACH, process, 0, 0) == 0;
    did("trace", name, traced);
    if (traced) {
        waitpid(process, NULL, __WALL);
        ptrace(PTRACE_DETACH, process, 0, 0);
    }
}

static int becomes_root(const char *program) { /* which is id */
    char answer[16] = "";
    char *command;
    if (!program || asprintf(&command, "%s -u 2>&-", program) < 0) return 0;
    FILE *pipe = popen(command, "r");
    int root = pipe && fgets(answer, sizeof answer, pipe) && strcmp(answer, "0\n") == 0;
    if (pipe) pclose(pipe);
    return root;
}

int main(void) {
    gid_t groups[64];
    struct rlimit limit;
    char host[128];
    int launcher = getppid(); /* 0 in a PID namespace, where neither of them can be named */
    int server = launcher > 1 ? parent_of(launcher) : 0;

    printf("SIP/2.0 480 Tried\nX-User: %d %d\nX-Groups: %d\n", getuid(), geteuid(), getgroups(64, groups));
    printf("X-No-New-Privileges: %d\nContent-Type: text/plain\n\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    each("read", "READ", O_RDONLY);
    each("write", "WRITE", O_WRONLY | O_APPEND);
    each("make", "MAKE", O_WRONLY | O_CREAT | O_EXCL);
    if (launcher > 1) against("the launcher", launcher);
    if (server > 1) against("the server", server);
    against("process 1", 1);
    did("open a raw socket", "", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0);
    did("open a packet socket", "", socket(AF_PACKET, SOCK_RAW, 0) >= 0);
    did("mount", "", mount("none", "/mnt", "tmpfs", 0, NULL) == 0 && umount("/mnt") == 0);
    did("make a device", "", mknod("device", S_IFBLK | 0600, makedev(7, 0)) == 0);
    did("set the name of the host", "", gethostname(host, sizeof host) == 0 && sethostname(host, strlen(host)) == 0);
    limit.rlim_cur = limit.rlim_max = 1024 * 1024 * 1024;
    did("raise a limit", "", setrlimit(RLIMIT_CORE, &limit) == 0); /* the launcher has set it to 0 */
    did("raise its priority", "", setpriority(PRIO_PROCESS, 0, -1) == 0);
    did("leave for a namespace", "", unshare(CLONE_NEWNS) == 0);
    did("change the root", "", chroot("/usr") == 0);
    did("execute as root", "", getuid() != 0 && becomes_root(getenv("PROGRAM")));
    did("become root", "", getuid() != 0 && setuid(0) == 0);
    did("become root's group", "", getgid() != 0 && setgid(0) == 0);
    groups[0] = 0;
    did("join groups", "", setgroups(1, groups) == 0);
    return 0;
}
