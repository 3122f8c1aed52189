// From the bytes of a workflow file (and of the files it names) to the checked graph, or to every mistake in one pass.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "workflows/diagnostic.h"
#include "workflows/workflow.h"

namespace weft::workflows {

// A workflow and what it names, by content: the client reads files, the server opens none.
struct BundleFile {
  std::string path;  // Relative to the workflow's folder, with "/" and without "..".
  std::string content;
};
struct Bundle {
  std::string file;  // The workflow's own path, as diagnostics name it.
  std::string text;
  std::vector<BundleFile> files;
};
inline constexpr std::size_t kBundleFilesMax = 256;
inline constexpr std::size_t kBundleFileBytesMax = std::size_t{16} << 20;
inline constexpr std::size_t kBundleBytesMax = std::size_t{64} << 20;

// What the checker must know of the place where the workflow will run.
struct KnownTool {
  std::string name;
  std::string input_schema;  // JSON Schema.
  Effect effect = Effect::kWrite;
};
struct World {
  std::vector<KnownTool> tools;
  // Nothing where the model is known; else the sentence (unknown, retired: with the successor).
  std::function<std::optional<std::string>(const std::string& model)> refuse_model;
  // Nothing where a workflow may name the secret; else the sentence.
  std::function<std::optional<std::string>(const std::string& secret)> refuse_secret;
  // Time zones are those of this machine; a workflow that was let in keeps its own.
  enum class Zones : std::uint8_t { kChecked, kTaken } zones = Zones::kChecked;
  bool strict = false;  // Warnings are errors.
};

struct Loaded {
  std::shared_ptr<const Workflow> workflow;  // Null where there are errors.
  std::vector<Diagnostic> diagnostics;
};

Loaded load(const Bundle& bundle, const World& world);

// The paths of files that the text names (`context`, `system: {file: …}`), for the one who builds the bundle. Faults of
// the text are left to load().
std::vector<std::string> files_named(const std::string& text);

// Inputs as a run takes them: defaults filled in, checked, typed by their shapes, in the order of the file. A refusal
// names an unknown input with the nearest, or a missing one with its description.
Result<Json> check_inputs(const Workflow& workflow, const Json& inputs);

}  // namespace weft::workflows
