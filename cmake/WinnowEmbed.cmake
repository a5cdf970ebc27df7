# Run at build time (cmake -DOUTPUT=... -DNAME=FILE[,FILE...] ... -P): the texts of files as functions of
# winnow/report/page_files.h. Raw strings, in pieces that every compiler takes.
set(functions "")
foreach(name template_html style_css report_js chart_js chart_js_licence paper_csv)
  string(REPLACE "," ";" paths "${${name}}")
  set(text "")
  foreach(path ${paths})
    file(READ "${path}" part)
    string(APPEND text "${part}")
  endforeach()
  if(name MATCHES "_js$" AND text MATCHES "</[Ss][Cc][Rr][Ii][Pp][Tt]")
    message(FATAL_ERROR "${${name}}: holds </script, which would end the page's script")
  endif()
  string(LENGTH "${text}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 8000 piece)
    string(APPEND pieces "\n    R\"~WINNOW~(${piece})~WINNOW~\"")
    math(EXPR at "${at} + 8000")
  endwhile()
  string(APPEND functions "\nstd::string_view ${name}() {\n  return ${pieces};\n}\n")
endforeach()
file(WRITE "${OUTPUT}" "// Written by cmake/WinnowEmbed.cmake.
#include \"winnow/report/page_files.h\"

namespace winnow::report::page_files {
${functions}
}  // namespace winnow::report::page_files
")
