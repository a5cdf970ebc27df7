#pragma once

// Questions of the paper (Wen et al. 2025, arXiv 2502.11501), each answered by one command on any model. A
// new study is one file and one line in studies.cpp.

#include <string>
#include <string_view>
#include <vector>

#include "winnow/study/lab.h"

namespace winnow::study {

/// Markdown. `answer` says in words whether the claim holds here, with the interval.
struct Section {
  std::string answer;
  std::string body;  ///< tables, and how to read them
};

struct Study {
  std::string name;   ///< as on the command line, and its folder
  std::string title;  ///< a question
  std::string claim;  ///< what the paper says, and where
  Section (*write)(const Lab& lab);
};

/// In the order of the docs.
const std::vector<Study>& studies();
/// Throws NotFound and lists the known names.
const Study& find_study(std::string_view name);

/// The whole section with its heading.
std::string to_markdown(const Study& study, const Section& section);

// Each in a file of its own.
Section baselines(const Lab& lab);
Section position(const Lab& lab);
Section language(const Lab& lab);
Section alpha(const Lab& lab);
Section budget(const Lab& lab);
Section training(const Lab& lab);
Section latency(const Lab& lab);
Section equal_latency(const Lab& lab);

}  // namespace winnow::study
