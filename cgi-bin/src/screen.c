/* Call filtering, inbound: a list says whose calls come through, and the first line that fits decides.
 *
 * Compile:  cc -O2 -o ../screen screen.c      Cases:  sipcgi test screen.yaml
 * In conf/sipcgi.yaml:  - {script: screen, method: [INVITE, MESSAGE], uri: "*@example.com"}
 * To adapt: screen.txt beside the program, lines of allow or deny and a glob over user@host, read again each time.
 */
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* user@host of the caller: the display name is left out, and host names know no case. */
static char *caller(const char *from) {
    char *copy = strdup(from), *to = copy, *end;
    for (int quoted = 0; *from; from++) {
        if (*from == '\\' && from[1]) from++;
        else if (*from == '"') quoted = !quoted;
        else if (!quoted) *to++ = *from;
    }
    *to = '\0';
    char *start = strchr(copy, '<');
    start = start ? start + 1 : copy + strspn(copy, " \t");
    start[strcspn(start, ">;? \t")] = '\0';
    char *user = strchr(start, ':');
    user = user ? user + 1 : start;
    char *host = strchr(user, '@');
    for (end = host; end && *end; end++) *end = tolower((unsigned char)*end);
    if (host && (end = strrchr(host, ':')) && isdigit((unsigned char)end[1])) *end = '\0'; /* the port */
    return user;
}

int main(void) {
    char line[512], verdict[8], pattern[400];
    char *who = caller(getenv("SIP_FROM") ? getenv("SIP_FROM") : "");
    FILE *list = fopen("screen.txt", "r");
    if (!list) return perror("screen.txt"), 1; /* a script that fails lets nobody through */
    while (fgets(line, sizeof line, list))
        if (sscanf(line, "%7s %399s", verdict, pattern) == 2 && !fnmatch(pattern, who, 0)) {
            if (!strcmp(verdict, "allow")) return 0; /* nothing printed: the server goes on */
            if (!strcmp(verdict, "deny")) break;
        }
    return puts("SIP/2.0 603 Decline\n") < 0;
}
