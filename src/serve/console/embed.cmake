# Puts the console's files into the program: cmake -DFROM=src/serve/console -DTO=console_files.c -P embed.cmake
# Scripts are joined in the order of their names. Style and script are named by the first 16 digits of their SHA-256, so
# that a browser may keep them for ever.
cmake_minimum_required(VERSION 3.25)
file(GLOB scripts "${FROM}/*.js")
list(SORT scripts)
set(js "'use strict';\n(() => {\n")
foreach(script IN LISTS scripts)
  file(READ "${script}" text)
  string(APPEND js "${text}\n")
endforeach()
string(APPEND js "})();\n")
file(READ "${FROM}/console.css" css)
file(READ "${FROM}/index.html" html)

set(out "/* Made by src/serve/console/embed.cmake. */\n#include \"serve/console_files.h\"\n")
set(table "")
foreach(part IN ITEMS css js html)
  if(part STREQUAL "html")
    string(REPLACE "@CSS@" "/console/${css_hash}.css" html "${html}")
    string(REPLACE "@JS@" "/console/${js_hash}.js" html "${html}")
  endif()
  string(SHA256 hash "${${part}}")
  string(SUBSTRING "${hash}" 0 16 ${part}_hash)
  # By way of a file: a string of CMake is bytes, but only file(READ) gives them in hexadecimal.
  file(WRITE "${TO}.${part}" "${${part}}")
  file(READ "${TO}.${part}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND out "static const unsigned char ${part}[] = {${bytes}};\n")
endforeach()
string(APPEND out "const struct console_file console_files[CONSOLE_FILES] = {\n"
  "{\"/\", \"text/html; charset=utf-8\", html, sizeof html, \"\\\"${html_hash}\\\"\", false},\n"
  "{\"/console/${css_hash}.css\", \"text/css; charset=utf-8\", css, sizeof css, \"\\\"${css_hash}\\\"\", true},\n"
  "{\"/console/${js_hash}.js\", \"text/javascript; charset=utf-8\", js, sizeof js, \"\\\"${js_hash}\\\"\", true},\n};\n")
file(WRITE "${TO}" "${out}")
