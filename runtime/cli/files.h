// The files that a person names on the command line, and the files that a workflow names.
#pragma once

#include <string>

#include "base/result.h"
#include "weft/v1/workflows.pb.h"
#include "workflows/loader.h"

namespace weft::cli {

// Whether a person means a file and not a name: it ends as a workflow does, has a folder, or is there.
bool names_file(const std::string& text);

// NOT_FOUND, or RESOURCE_EXHAUSTED over `bytes_max`; regular files and pipes only. "-" is standard input.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

// The workflow and every file that it names, beneath its own folder. A named file that is not there is NOT_FOUND; one
// that leads out of the folder is INVALID_ARGUMENT.
Result<workflows::Bundle> read_bundle(const std::string& path);
v1::Bundle to_message(const workflows::Bundle& bundle);

}  // namespace weft::cli
