# Completion of conga for fish, as ~/.config/fish/completions/conga.fish, or:
#   conga completion fish | source
function __conga_words
    set -l before (commandline -opc)
    set -l last (commandline -ct)
    set -l program $before[1]
    set -e before[1]
    set -l lines (command $program complete-words fish $before "$last" 2>/dev/null)
    set -l kind $lines[1]
    set -e lines[1]
    switch "$kind"
        case files
            __fish_complete_path "$last"
        case dirs
            __fish_complete_directories "$last"
        case '*'
            printf '%s\n' $lines
    end
end
complete -c conga -f -a '(__conga_words)'
