#include <csignal>

#include "app/cli.h"

int main(int count, char** arguments) {
  // A closed socket, a closed stdout and a full disk are errors of single calls, not reasons to end.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return loquat::app::run_cli(count, arguments);
}
