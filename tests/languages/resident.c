/* behave.c as a FastCGI program, with Debian's libfcgi: its standard streams and its environment are those of a request. */
#include <fcgi_stdio.h>

int behave(int argc, char **argv);

int main(int argc, char **argv) {
    while (FCGI_Accept() >= 0) FCGI_SetExitStatus(behave(argc, argv));
    return 0;
}
