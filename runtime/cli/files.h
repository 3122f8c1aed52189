// The files that a person names on the command line, and the files that a workflow names.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "weft/v1/workflows.pb.h"
#include "workflows/loader.h"

namespace weft::cli {

// Whether a person means a file and not a name: it ends as a workflow does, has a folder, or is there.
bool names_file(const std::string& text);

// What read_file() takes beside regular files and /dev/null.
enum class Pipes : std::uint8_t {
  kRefused,
  kTaken,  // "-", which is standard input, and what a shell makes of <(command). Not a FIFO, which may have no writer.
};
// Waits for nobody but a pipe's writer. Errors: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (another kind of file,
// or more than `bytes_max`).
Result<std::string> read_file(const std::string& path, std::size_t bytes_max, Pipes pipes);

// A file that decides what weft does: regular or /dev/null, and its user's own (base/ownership.h). Errors: as
// read_file().
Result<std::string> read_own_file(const std::string& path, std::size_t bytes_max);

// The workflow and every file that it names, beneath its own folder. A named file that is not there is NOT_FOUND; one
// that leads out of the folder is INVALID_ARGUMENT.
Result<workflows::Bundle> read_bundle(const std::string& path);
v1::Bundle to_message(const workflows::Bundle& bundle);

}  // namespace weft::cli
