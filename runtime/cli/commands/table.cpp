#include "runtime/cli/commands/table.h"

namespace weft::cli {

// Each in the file of its name; `kill` is in cancel.cpp, `resume` in pause.cpp.
Command init_command();
Command run_command();
Command submit_command();
Command runs_command();
Command trace_command();
Command events_command();
Command output_command();
Command wait_command();
Command cancel_command();
Command kill_command();
Command answer_command();
Command signal_command();
Command pause_command();
Command resume_command();
Command resolve_command();
Command retry_command();
Command fork_command();
Command replay_command();
Command check_command();
Command graph_command();
Command apply_command();
Command workflows_command();
Command schedule_command();
Command db_command();
Command stats_command();
Command drain_command();
Command trust_command();
Command doctor_command();
Command serve_command();
Command token_command();
Command sim_command();
Command version_command();

const std::vector<Command>& commands() {
  static const std::vector<Command> kTable = {
      init_command(),   run_command(),     submit_command(),  runs_command(),      trace_command(),    events_command(),
      output_command(), wait_command(),    cancel_command(),  kill_command(),      answer_command(),   signal_command(),
      pause_command(),  resume_command(),  resolve_command(), retry_command(),     fork_command(),     replay_command(),
      check_command(),  graph_command(),   apply_command(),   workflows_command(), schedule_command(), db_command(),
      stats_command(),  drain_command(),   trust_command(),   doctor_command(),    serve_command(),    token_command(),
      sim_command(),    version_command(),
  };
  return kTable;
}

}  // namespace weft::cli
