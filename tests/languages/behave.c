#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value(const char *name) { return getenv(name) ? getenv(name) : ""; }
static void again(void) { printf("CGI-AGAIN yes SIP/2.0\n\n"); }
static void cookie(const char *text) { printf("CGI-SET-COOKIE %s SIP/2.0\n\n", text); }

static void place(int number) {
    char text[12];
    snprintf(text, sizeof text, "%d", number);
    printf("CGI-PROXY-REQUEST sip:place-%s@example.net SIP/2.0\nCGI-Request-Token: t%s\n\n", text, text);
    cookie(text);
    again();
}

static void with_body(const char *body, size_t length) {
    printf("Content-Length: %lu\n\n", (unsigned long)length);
    fwrite(body, 1, length, stdout);
}

static void body(void) {
    static char octets[65536];
    size_t length = fread(octets, 1, sizeof octets, stdin);
    printf("SIP/2.0 200 OK\n");
    if (length) printf("Content-Type: %s\n", value("CONTENT_TYPE"));
    with_body(octets, length);
}

static void variables(int arguments) {
    static const char *const names[] = {
        "REQUEST_METHOD", "REQUEST_URI", "SIPCGI_EVENT", "SIPCGI_PENDING", "SIP_X_EMPTY", "SIP_X_LIST",
        "SIP_ACCEPT_CONTACT", "RESPONSE_STATUS", "SCRIPT_COOKIE", "REGISTRATIONS", "SIP_AUTHORIZATION", "SIP_NOBODY", "TZ"};
    char list[8192];
    size_t end = 0;
    for (size_t each = 0; each < sizeof names / sizeof *names; each++) {
        const char *found = getenv(names[each]);
        end += found ? snprintf(list + end, sizeof list - end, "%s=%s\n", names[each], found)
                     : snprintf(list + end, sizeof list - end, "undefined %s\n", names[each]);
    }
    end += snprintf(list + end, sizeof list - end, "arguments %d", arguments);
    printf("SIP/2.0 480 Listed\nContent-Type: text/plain\n");
    with_body(list, end);
}

static void hunt(void) {
    switch (*value("RESPONSE_STATUS")) {
    case '\0':
        place(1);
        break;
    case '1':
        printf("CGI-FORWARD-RESPONSE this SIP/2.0\nX-Place: %s\n\n", value("SCRIPT_COOKIE"));
        again();
        break;
    case '3': case '4': case '5':
        place(atoi(value("SCRIPT_COOKIE")) + 1);
    }
}

int main(int argc, char **argv) {
    (void)argv;
    const char *event = value("SIPCGI_EVENT"), *uri = value("REQUEST_URI");
    char user[40] = "";
    sscanf(value("SIPCGI_URI"), "sip:%39[^@]", user);
#define IS(name) (!strcmp(user, name))
    if (!strcmp(event, "cancel")) cookie("cancel");
    else if (!strcmp(event, "ack")) cookie("answered");
    else if (!strcmp(event, "timer")) printf("SIP/2.0 480 Nobody came\n\n");
    else if (IS("decline")) printf("SIP/2.0 603 No, thanks\nRetry-After: 3600\n\n");
    else if (IS("moved")) printf("SIP/2.0 302 Moved Temporarily\nContact: <sip:bob@192.0.2.1>;q=0.9\n"
            "Contact: \"Bob, \\\"home\\\"\" <sip:bob@192.0.2.2;transport=tcp>;q=0.1\n\n");
    else if (IS("echo")) printf("CGI-PROXY-REQUEST %s SIP/2.0\nCGI-Remove: Subject\nX-Seen: %s\n\n", uri, value("SIP_SUBJECT"));
    else if (IS("length")) printf("SIP/2.0 480 Counted\nX-Octets: %lu\n\n", (unsigned long)strlen(value("SIP_SUBJECT")));
    else if (IS("body")) body();
    else if (IS("other")) {
        printf("CGI-PROXY-REQUEST %s SIP/2.0\nContent-Type: application/json\n", uri);
        with_body("{\"\xc3\xa9\": 1}", 9);
    } else if (IS("fork")) printf("CGI-PROXY-REQUEST sip:a@example.net SIP/2.0\nCGI-Timeout: 2.5\n\n"
            "CGI-PROXY-REQUEST sip:b@example.net;transport=tcp SIP/2.0\nCGI-Timeout: 30\n\n");
    else if (IS("hunt")) hunt();
    else if (IS("variables")) variables(argc - 1);
    else if (IS("bob")) printf("SIP/2.0 480 Listed\nX-Phones: %s\n\n", value("REGISTRATIONS"));
    else if (IS("timer")) printf("SIP/2.0 182 Queued\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 5\n\n");
    else if (IS("answer")) {
        printf("SIP/2.0 200 OK\nContent-Type: application/sdp\n");
        with_body("v=0\n", 4);
        cookie("answered");
        again();
    } else if (IS("fail")) {
        printf("SIP/2.0 200 OK\n\n");
        fprintf(stderr, "no luck\n");
        return 3;
    } else if (IS("complain")) fprintf(stderr, "a word to the log\n");
    return 0;
}
