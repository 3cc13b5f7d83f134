#pragma once

namespace loquat::app {

/// The command line: reads settings, runs the command. Exit status: 0 done, 1 failed, 2 wrong usage or settings, 3 done in part.
int run_cli(int count, char** arguments);

}  // namespace loquat::app
