#pragma once

#include <sys/types.h>

namespace loquat::testing {

/// SIGSTOP, and waits until all threads of the process stand still: a busy machine takes a while, and what still runs still answers.
void freeze_process(pid_t process);

}  // namespace loquat::testing
