# Completes runa in bash without starting it; written by completions/generate.py.

# Tell what follows a command. words: what is no option, as =a,b. options: NAMES for a flag, NAMES= with a value,
# NAMES=a,b with one of these, NAMES=/ with a file, NAMES=@batches with a name that runa keeps; NAMES+ may be repeated.
_runa_follows() {
    case $1 in
        '')
            words='=balance,ping,config,audit,order,batch,gift,product,policy,ledger,report,emulator'
            options=' --version --help,-h ' ;;
        balance)
            words=''
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        ping)
            words=''
            options=' --timeout= --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        config)
            words=''
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        audit)
            words=''
            options=' --since= --until= --journal --head+= --timeout= --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        order)
            words='=create,get,estimate,list,example'
            options=' --help,-h ' ;;
        'order create')
            words=''
            options=' --face-value= --email+= --quantity= --product+=@products --product-template= --template-id= --recipient= --file=/ --format=json,jsonl,csv,xlsx --sheet= --header-row= --encoding= --column+= --carry+= --allow-links --currency= --fx --description= --metadata+= --results=/ --batch=@batches --again --by-reference --idempotency-key= --no-lookup --dry-run --max-total= --confirm --yes,-y --confirm-total= --preflight,--no-preflight --propose --mode=auto,sync,async --wait,--no-wait --timeout= --concurrency= --rate-limit= --no-stamp --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'order get')
            words=''
            options=' --wait --timeout= --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'order estimate')
            words=''
            options=' --face-value= --email+= --quantity= --product+=@products --product-template= --template-id= --recipient= --file=/ --format=json,jsonl,csv,xlsx --sheet= --header-row= --encoding= --column+= --carry+= --allow-links --currency= --fx --description= --metadata+= --timeout= --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'order list')
            words=''
            options=' --limit= --all --after= --before= --status=COMPLETED,FAILED,PROCESSING --since= --until= --search= --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'order example')
            words='=csv,xlsx,json'
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        batch)
            words='=list,show,resume,approve,export,cards,abandon,prune'
            options=' --help,-h ' ;;
        'batch list')
            words=''
            options=' --all --after=@batches --env=live,playground,local --profile=@batches --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'batch show')
            words='=@batches'
            options=' --env=live,playground,local --profile=@batches --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'batch resume')
            words='=@batches'
            options=' --all --yes,-y --timeout= --env=live,playground,local --profile=@batches --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'batch approve')
            words='=@batches'
            options=' --signature=/ --env=live,playground,local --profile=@batches --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'batch export')
            words='=@batches'
            options=' --results=/ --yes,-y --env=live,playground,local --profile=@batches --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'batch cards')
            words='=@batches'
            options=' --to=/ --layout=a4,letter,fold --yes,-y --env=live,playground,local --profile=@batches --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'batch abandon')
            words='=@batches'
            options=' --yes,-y --env=live,playground,local --profile=@batches --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'batch prune')
            words='=@batches'
            options=' --older-than= --yes,-y --env=live,playground,local --profile=@batches --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        gift)
            words='=list,get'
            options=' --help,-h ' ;;
        'gift list')
            words=''
            options=' --search= --batch=@batches --product=@products --status=prepared,sent,accepted,completed,failed,rejected,abandoned,unfinished,ACTIVE,CLAIMED,CANCELLED,EXPIRED --since= --until= --limit= --all --after= --yes,-y --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'gift get')
            words=''
            options=' --batch=@batches --yes,-y --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        product)
            words='=list,get,countries,categories'
            options=' --help,-h ' ;;
        'product list')
            words=''
            options=' --country+= --category= --currency= --search= --orderable --refresh --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'product get')
            words='=@products'
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'product countries')
            words=''
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'product categories')
            words=''
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        policy)
            words='=check,show,store'
            options=' --help,-h ' ;;
        'policy check')
            words='=/'
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'policy show')
            words=''
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'policy store')
            words='=/'
            options=' --remove --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        ledger)
            words='=init,backup,copy,check'
            options=' --help,-h ' ;;
        'ledger init')
            words=''
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'ledger backup')
            words='=/'
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'ledger copy')
            words=''
            options=' --from=FILE,URL --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'ledger check')
            words=''
            options=' --read-back --unstamped=adopt,leave --yes,-y --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        report)
            words='=spend,recipients'
            options=' --help,-h ' ;;
        'report spend')
            words=''
            options=' --by=month,week,day,batch,product,currency,user --since= --until= --to=/ --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'report recipients')
            words=''
            options=' --year= --by=email,reference --threshold= --also+=/ --sheet= --column+= --since= --until= --to=/ --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        emulator)
            words='=serve,reset'
            options=' --help,-h ' ;;
        'emulator serve')
            words=''
            options=' --port= --host= --fault+= --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        'emulator reset')
            words=''
            options=' --env=live,playground,local --profile= --env-file=/ --output,-o=table,json,jsonl,gifts,csv,links --json --quiet,-q --verbose,-v --log-format=text,json --no-color --help,-h ' ;;
        *) words='' ;;
    esac
}

# Tell in environment which one the command line is for: by a flag, the environment, ./.env, or the last one used.
_runa_environment() { # DIRECTORY of the names that runa keeps
    local line i
    environment=''
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == --env ]] || continue
        environment=${COMP_WORDS[i + 1]}
        [[ $environment != = ]] || environment=${COMP_WORDS[i + 2]}
    done
    environment=${environment:-${RUNA_ENV-}}
    case $environment${RUNA_API_KEY-} in
        [wW][gG]*.*) environment=live ;;
        [xX][xX]*.*) environment=playground ;;
    esac
    if [[ ! $environment && -f .env && -r .env ]]; then
        while IFS= read -r line || [[ $line ]]; do
            line=${line#export }
            line=${line//[\"\' ]/}
            case $line in
                RUNA_ENV=?*) environment=${line#*=} && break ;;
                RUNA_API_KEY=[wW][gG]*) environment=live ;;
                RUNA_API_KEY=[xX][xX]*) environment=playground ;;
            esac
        done <.env
    fi
    case $environment in
        live | playground | local) ;;
        *) IFS= read -r environment <"$1/names-environment" ;;
    esac
}

# Offer what a file of runa's lists, a name a line. compgen -W would run what looks like a command in a name.
_runa_kept() { # KIND
    local directory environment line quoted
    directory=${XDG_CACHE_HOME:-$HOME/.cache}/runa
    [[ -r $directory/names-environment ]] || directory=$HOME/Library/Caches/runa
    [[ -r $directory/names-environment ]] || return
    _runa_environment "$directory"
    [[ -r $directory/names-$1-$environment ]] || return
    while IFS= read -r line || [[ $line ]]; do
        line=${line%%$'\t'*}
        printf -v quoted %q "$line"
        if [[ $current != [\"\']* ]]; then
            [[ $quoted != "$current"* ]] || COMPREPLY+=("$quoted")
        elif [[ $line == "${current:1}"* && $line != *[^[:alnum:]\ ._@+-]* ]]; then
            COMPREPLY+=("$line") # what would mean something in quotes is not offered there
        fi
    done <"$directory/names-$1-$environment"
}

_runa() {
    local IFS=$' \n' current=${COMP_WORDS[COMP_CWORD]} command='' words options awaited='' word option names i
    _runa_follows ''
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == [=:]* ]]; then # bash takes --env=live for three words, and a:b too
            [[ $awaited ]] || ((i++))
        elif [[ $awaited ]]; then
            awaited=''
        elif [[ $word == -- ]]; then
            options=' '
        elif [[ $word == -?* ]]; then
            for option in $options; do
                names=${option%%=*}
                if [[ ,${names%+}, == *,"$word",* ]]; then
                    [[ $option == *=* ]] && awaited="=${option#*=}"
                    [[ $names == *+ ]] || options=${options/" $option "/ }
                fi
            done
        else
            command+="${command:+ }$word"
            _runa_follows "$command"
        fi
    done
    ((i > COMP_CWORD)) && return
    if [[ $current == [=:]* ]]; then
        [[ $awaited ]] || return
        current=''
    fi
    names=''
    if [[ $awaited || ($words && $current != -*) ]]; then
        names=${awaited:-$words}
    else
        for option in $options; do
            option=${option%%=*}
            names+=,${option%+}
        done
    fi
    if [[ $names == =@* ]]; then
        _runa_kept "${names#=@}"
    elif [[ $names == =/ ]]; then
        # shellcheck disable=SC2207
        compopt -o default 2>/dev/null || IFS=$'\n' COMPREPLY=($(compgen -f -- "$current"))
    else
        # shellcheck disable=SC2207
        COMPREPLY=($(compgen -W "${names//[=,]/ }" -- "$current"))
    fi
}

complete -F _runa runa
