// `--input k=v`, `k=@file`, `k=-`: values read by the shape that the workflow declares.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "workflows/workflow.h"

namespace weft::cli {

// An object of the inputs that were given. Text stays text where a string is declared; elsewhere it is read as JSON.
// What is missing is left to workflows::check_inputs. Errors: INVALID_ARGUMENT, NOT_FOUND (a file).
Result<Json> read_inputs(const workflows::Workflow& workflow, const std::vector<std::string>& given);

// The same for a workflow that is not known here: names, and texts for whoever knows their shapes. Errors: as
// read_inputs().
Result<std::vector<std::pair<std::string, std::string>>> read_input_texts(const std::vector<std::string>& given);

// "k=v" into its two halves.
Result<std::pair<std::string, std::string>> split_pair(const std::string& text, std::string_view what);

}  // namespace weft::cli
