// The file tools as the toolbox has them: their specs, their arguments and their results as JSON.
#include "tools/files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "tools/file_work.h"

namespace weft::tools {
namespace {

constexpr std::int64_t kLineMax = 1'000'000'000;

enum class Operation : std::uint8_t { kList, kRead, kSearch, kAppend };

struct Definition {
  Operation operation;
  const char* name;
  Effect effect;
  const char* description;
  const char* input_schema;
};

constexpr Definition kDefinitions[] = {
    {Operation::kList, "fs.list", Effect::kRead,
     "Lists a folder: names with kind (file, folder, link, other) and size in bytes. Paths are relative to the root; "
     "without a path, the root. depth 2 to 8 lists the folders in it too. Leaves out .git and .weft.",
     R"({"type":"object","properties":{"path":{"type":"string"},"depth":{"type":"integer","minimum":1,"maximum":8}},)"
     R"("additionalProperties":false})"},
    {Operation::kRead, "fs.read", Effect::kRead,
     "Reads a text file, or the lines from from_line on (the first is 1), at most `lines` of them. Where truncated is "
     "true, go on at to_line + 1.",
     R"({"type":"object","properties":{"path":{"type":"string"},)"
     R"("from_line":{"type":"integer","minimum":1,"maximum":1000000000},)"
     R"("lines":{"type":"integer","minimum":1,"maximum":1000000000}},)"
     R"("required":["path"],"additionalProperties":false})"},
    {Operation::kSearch, "fs.search", Effect::kRead,
     "Finds the lines that match a regular expression (RE2 syntax) in a file or in all text files beneath a folder; "
     "without a path, beneath the root. Leaves out .git and .weft; long lines are cut.",
     R"({"type":"object","properties":{"pattern":{"type":"string","minLength":1,"maxLength":4096},)"
     R"("path":{"type":"string"}},"required":["pattern"],"additionalProperties":false})"},
    {Operation::kAppend, "fs.append", Effect::kWrite,
     "Adds one line at the end of a text file; makes the file where there is none, but no folder.",
     R"({"type":"object","properties":{"path":{"type":"string"},"line":{"type":"string"}},)"
     R"("required":["path","line"],"additionalProperties":false})"},
};

ToolSpec spec_of(const Definition& definition) {
  return {definition.name, definition.description, definition.input_schema, definition.effect};
}

std::string_view kind_name(NameKind kind) {
  switch (kind) {
    case NameKind::kFile: return "file";
    case NameKind::kFolder: return "folder";
    case NameKind::kLink: return "link";
    case NameKind::kOther: break;
  }
  return "other";
}

// The arguments of one call. The first that is missing or wrong is remembered.
class Arguments {
 public:
  explicit Arguments(const Json& object) : object_(object) {}

  std::string text(const char* key, std::optional<std::string> otherwise = std::nullopt) {
    const auto value = object_.find(key);
    if (value != object_.end() && value->is_string()) return value->get<std::string>();
    if (value != object_.end()) return wrong(fmt::format("'{}' is a string", key));
    return otherwise ? *std::move(otherwise) : wrong(fmt::format("'{}' is missing", key));
  }
  std::int64_t integer(const char* key, std::int64_t otherwise, std::int64_t max) {
    const auto value = object_.find(key);
    if (value == object_.end()) return otherwise;
    if (value->is_number_integer() && *value >= 1 && *value <= max) return value->get<std::int64_t>();
    wrong(fmt::format("'{}' is an integer from 1 to {}", key, max));
    return otherwise;
  }
  const std::string& problem() const { return problem_; }

 private:
  std::string wrong(std::string sentence) {
    if (problem_.empty()) problem_ = std::move(sentence);
    return {};
  }

  const Json& object_;
  std::string problem_;
};

Json to_json(const std::string& path, const Listing& listing) {
  Json entries = Json::array();
  for (const ListedName& name : listing.names) {
    Json entry = {{"name", name.name}, {"kind", kind_name(name.kind)}};
    if (name.kind == NameKind::kFile) entry["size"] = name.size;
    if (name.escaped) entry["escaped"] = true;
    entries.push_back(std::move(entry));
  }
  return {{"path", path}, {"entries", std::move(entries)}, {"truncated", listing.truncated}};
}

Json to_json(const std::string& path, std::int64_t from_line, const Excerpt& excerpt) {
  Json result = {{"path", path}, {"from_line", from_line}, {"to_line", excerpt.to_line}};
  if (excerpt.lines_total) result["lines_total"] = *excerpt.lines_total;
  result["text"] = excerpt.text;
  if (excerpt.bytes_replaced > 0) result["bytes_replaced"] = excerpt.bytes_replaced;
  result["truncated"] = excerpt.truncated;
  return result;
}

Json to_json(const Matches& found) {
  Json matches = Json::array();
  for (const Match& match : found.matches) {
    matches.push_back({{"path", match.path}, {"line", match.line}, {"text", match.text}});
  }
  return {{"matches", std::move(matches)},
          {"files_searched", found.files_searched},
          {"files_skipped", found.files_skipped},
          {"truncated", found.truncated}};
}

class FileTool final : public Tool {
 public:
  FileTool(const Definition& definition, std::shared_ptr<const Root> root, const FileLimits& limits)
      : operation_(definition.operation), spec_(spec_of(definition)), root_(std::move(root)), limits_(limits) {}

  const ToolSpec& spec() const override { return spec_; }
  ToolReply run(const ToolRequest& request, const Cancelled& cancelled) override;

 private:
  Result<Json> read_only(Arguments& arguments, const CallTime& time) const;
  ToolReply append(Arguments& arguments, const CallTime& time) const;

  const Operation operation_;
  const ToolSpec spec_;
  const std::shared_ptr<const Root> root_;
  const FileLimits limits_;
};

ToolReply FileTool::run(const ToolRequest& request, const Cancelled& cancelled) {
  const auto object = parse_untrusted(request.arguments);
  if (!object || !object->is_object()) return {ToolStatus::kFailed, "the arguments are not a JSON object"};
  Arguments arguments(*object);
  const CallTime time(limits_.time_max, cancelled);
  if (operation_ == Operation::kAppend) return append(arguments, time);
  const auto result = read_only(arguments, time);
  if (time.cancelled()) return {ToolStatus::kFailed, "the call was cancelled"};
  if (!result) return {ToolStatus::kFailed, result.error().message};
  return {ToolStatus::kDone, to_text(*result)};
}

Result<Json> FileTool::read_only(Arguments& arguments, const CallTime& time) const {
  const bool wants_file = operation_ == Operation::kRead;
  std::string path = arguments.text("path", wants_file ? std::nullopt : std::optional<std::string>("."));
  if (path.empty() && !wants_file) path = ".";
  const std::int64_t depth = arguments.integer("depth", 1, kListDepthMax);
  const std::int64_t from_line = arguments.integer("from_line", 1, kLineMax);
  const std::int64_t lines = arguments.integer("lines", kLineMax, kLineMax);
  const std::string pattern = operation_ == Operation::kSearch ? arguments.text("pattern") : std::string();
  if (!arguments.problem().empty()) return invalid_argument(arguments.problem());
  if (operation_ == Operation::kList) {
    WEFT_TRY(const Listing listing, list_folder(root_->view(), path, static_cast<int>(depth), limits_, time));
    return to_json(path, listing);
  }
  if (operation_ == Operation::kRead) {
    WEFT_TRY(const Excerpt excerpt, read_lines(root_->view(), path, static_cast<std::uint64_t>(from_line),
                                               static_cast<std::uint64_t>(lines), limits_, time));
    return to_json(path, from_line, excerpt);
  }
  WEFT_TRY(const Matches found, search_files(root_->view(), path, pattern, limits_, time));
  return to_json(found);
}

ToolReply FileTool::append(Arguments& arguments, const CallTime& time) const {
  const std::string path = arguments.text("path");
  const std::string line = arguments.text("line");
  if (!arguments.problem().empty()) return {ToolStatus::kFailed, arguments.problem()};
  const Appending done = append_line(root_->view(), path, line, limits_, time);
  if (done.status != ToolStatus::kDone) return {done.status, done.reason};
  return {ToolStatus::kDone, to_text(Json{{"path", path}, {"bytes", done.bytes}})};
}

}  // namespace

Status add_file_tools(Toolbox& toolbox, const std::string& root, const FileLimits& limits, ClosedPaths closed) {
  WEFT_TRY(Root opened, Root::open(root, std::move(closed)));
  const auto shared = std::make_shared<const Root>(std::move(opened));
  for (const Definition& definition : kDefinitions) {
    toolbox.add(std::make_unique<FileTool>(definition, shared, limits));
  }
  return {};
}

std::vector<ToolSpec> file_tool_specs() {
  std::vector<ToolSpec> specs;
  for (const Definition& definition : kDefinitions) specs.push_back(spec_of(definition));
  return specs;
}

}  // namespace weft::tools
