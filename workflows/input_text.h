// Inputs as people type them: `count=3`.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "workflows/workflow.h"

namespace weft::workflows {

// The declared input of that name. INVALID_ARGUMENT names the nearest one.
Result<const Input*> find_input(const Workflow& workflow, const std::string& name);
// What `text` means for the input: the text where a string is declared, JSON elsewhere. INVALID_ARGUMENT where its
// shape takes no such value; what a value of the right kind breaks beyond that, check_inputs() says
// (workflows/loader.h).
Result<Json> read_input(const Input& input, const std::string& text);

}  // namespace weft::workflows
