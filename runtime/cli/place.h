// Which store or server a command means, and which configuration goes with it.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/cli/options.h"
#include "runtime/engine/config.h"

namespace weft::cli {

// Where a command works.
struct Place {
  std::string server;  // An address that was named; then there is no store here.
  std::string store;   // Absolute path of the database.
  bool store_exists = false;
  std::string socket;  // Beside the store: where its engine listens.
  engine::Config config;
};

// `--server`, `--store`, `WEFT_SERVER`, `WEFT_STORE`, else the nearest `.weft/weft.db` upward from `folder`, else a new
// one in `folder`. Reads weft.yaml: `--config`, `WEFT_CONFIG`, or the one in the folder that holds `.weft/` (with a
// named store: in `folder`). Creates nothing.
Result<Place> find_place(const Global& global, const engine::Getenv& environment, const std::string& folder);

// The same rule on both sides: `NAME.sock` beside `NAME.db`; where that path is longer than a socket's may be, a name
// made of the path's hash in `$XDG_RUNTIME_DIR` or the temporary folder.
std::string socket_beside(const std::string& store, const engine::Getenv& environment);

// Whether an engine answers on the place's socket, and the socket is this user's.
bool engine_answers(const Place& place);

}  // namespace weft::cli
