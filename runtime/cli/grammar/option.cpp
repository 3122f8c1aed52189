#include "runtime/cli/grammar/option.h"

namespace weft::cli {

Option required(std::string name, std::string help, Destination destination) {
  return needed(optional(std::move(name), std::move(help), destination));
}

Option optional(std::string name, std::string help, Destination destination) {
  return option(std::move(name), "", std::move(help), destination);
}

Option flag(std::string names, std::string help, Destination destination) {
  return option(std::move(names), "", std::move(help), destination);
}

Option option(std::string names, std::string value, std::string help, Destination destination) {
  Option made;
  made.names = std::move(names);
  made.value = std::move(value);
  made.help = std::move(help);
  made.destination = destination;
  return made;
}

Option one_of(std::vector<std::string> choices, Option option) {
  option.choices = std::move(choices);
  return option;
}

Option between(std::int64_t first, std::int64_t last, Option option) {
  option.range = {first, last};
  return option;
}

Option needed(Option option) {
  option.required = true;
  return option;
}

Option without(std::string other, Option option) {
  option.excludes = std::move(other);
  return option;
}

Option not_empty(Option option) {
  option.check = [](const std::string& text) {
    return text.empty() ? std::string("it is empty: leave it out, or say which") : std::string();
  };
  return option;
}

Option at_most(Duration longest, std::string sentence, Option option) {
  option.check = [longest, sentence = std::move(sentence)](const std::string& text) {
    const auto time = parse_duration(text);
    return time && *time > longest ? sentence : std::string();  // A text that is no duration is refused as such.
  };
  return option;
}

}  // namespace weft::cli
